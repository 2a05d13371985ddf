/* A model from its checkpoint. */
#include <stdlib.h>
#include <string.h>
#include "ci/commit.h"
#include "train_priv.h"

ci_rc ci_trained_open(const ci_comm *comm, const char *dir, const char *file, const char *isa, const ci_compute *at, ci_trained *out)
{
    ci_rc rc = CI_OK;
    char path[CI_PATH_MAX] = "", tensors[CI_SHA256_HEX];

    *out = (ci_trained){.at = at};
    CI_TRY_ALL(comm, "trained.path", ci_path_join(path, dir, file));
    CI_TRY(ci_ckpt_read_all(comm, path, &out->ck));
    CI_TRY_ALL(comm, "trained.model", ci_model_create(&out->ck.dim, isa, &out->model));
    if (ci_model_size(out->model) != out->ck.n || ci_model_state_size(out->model) != out->ck.n_state)
        CI_FAIL(CI_EFORMAT, "%s: %lld parameters and %lld statistics for a model of %lld and %lld", path, (long long)out->ck.n,
                (long long)out->ck.n_state, (long long)ci_model_size(out->model), (long long)ci_model_state_size(out->model));
    ci_ckpt_tensors(out->model, tensors);
    if (strcmp(tensors, out->ck.tensors) != 0)
        CI_FAIL(CI_EFORMAT, "%s: its tensors are not those that this program makes of its shapes; train again, or use the program that "
                "wrote it", path);
    ci_ckpt_weights(&out->ck, out->weights);
done:
    if (rc != CI_OK) ci_trained_release(out);
    return rc;
}

void ci_trained_release(ci_trained *t)
{
    if (!t) return;
    ci_ckpt_release(&t->ck);
    ci_model_destroy(&t->model);
    *t = (ci_trained){0};
}

ci_rc ci_trained_fits(const ci_trained *t, const char *what, const ci_store *st, const char *store_sha, const char *split)
{
    ci_rc rc = CI_OK;
    int32_t n = 0;

    if (strcmp(t->ck.set, st->head.set) != 0 || t->ck.dim.n_feature != st->set->n_node || t->ck.dim.n_edge_feature != st->set->n_edge ||
        t->ck.dim.n_window_feature != st->set->n_window)
        CI_FAIL(CI_ECONF, "%s was trained on features %s, the store has %s; train it on these, or build with its features", what,
                t->ck.set, st->head.set);
    if (t->ck.dim.id_dim && t->ck.n_vocab != st->head.n_vocab)
        CI_FAIL(CI_ECONF, "%s has a vocabulary of %d identifiers, the store one of %d; train it on this store", what, t->ck.n_vocab,
                st->head.n_vocab);
    for (int32_t i = 0; t->ck.dim.id_dim && i < st->head.n_id; i++)
        if (st->head.vocab[i] > 0 && st->head.id[i] != t->ck.vocab[n++])
            CI_FAIL(CI_ECONF, "%s has another vocabulary than the store: identifier %d is %X and %X; train it on this store", what, n,
                    t->ck.vocab[n - 1], st->head.id[i]);
    if (strcmp(t->ck.store, store_sha) != 0)
        CI_FAIL(CI_ECONF, "%s was trained on store %.12s, this one is %.12s; train it again", what, t->ck.store, store_sha);
    if (split && strcmp(t->ck.split, split) != 0)
        CI_FAIL(CI_ECONF, "%s was trained on another split: it has seen windows that validate here; give it the same split.* and "
                "train.seed, and train it again", what);
done:
    return rc;
}
