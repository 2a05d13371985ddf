/** Every setting of the program, once. */
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

/* <model>_<scale>[_<auxiliary>] */
#define CI_MODELS                                                                               \
    "gat_small|gat_large|gat_small_kd_standard|gat_large_kd_standard|vgae_small|vgae_large|"    \
    "vgae_small_kd_standard|vgae_large_kd_standard|dqn_small|dqn_large|dqn_small_kd_standard|"   \
    "dqn_large_kd_standard"

#define ROW(kind, path, ...)                                                                    \
    {#path, kind, offsetof(ci_conf, path), sizeof(((ci_conf *)0)->path), __VA_ARGS__}

/* clang-format off */
const ci_setting ci_settings[] = {
    ROW(CI_STEPS,  pipeline, "scan,build,train,eval", "sim|scan|build|train|eval", "", "steps that `run` does, always in the order sim, scan, build, train, eval"),
    ROW(CI_LIST,   models, "", CI_MODELS, "", "that train and eval work on, in this order, each in a folder of its own below run.dir; empty: model.* alone, in run.dir"),
    ROW(CI_INTS,   seeds, "", "[0, 2147483647]", "", "each of models is trained and judged with each of them; empty: with train.seed"),

    ROW(CI_PATH,   data.root, "data", "", "", "folder of data sets"),
    ROW(CI_NAME,   data.set, "", "", "", "name of the data set, a folder below data.root"),
    ROW(CI_LIST,   data.train, "", "", "", "training folders; empty: every train_*"),
    ROW(CI_LIST,   data.test, "", "", "", "test folders; empty: every test_*"),
    ROW(CI_LIST,   data.attack_free, "", "", "", "folders whose files may lack a label column"),
    ROW(CI_LIST,   data.vehicles, "", "", "", "vehicles: a capture is of the one whose name its file name has in it; for split.folds and features.profile"),
    ROW(CI_TEXT,   data.injected, "", "", "", "folder of training captures with simulated attacks in them, which the step sim makes of the real ones (sim.copies) and train_* is joined by; empty: none"),
    ROW(CI_CHOICE, data.format, "auto", "auto|four-column|hcrl|hcrl-challenge|hcrl-text|candump|candump-screen|python-can|gvret", "", "dialect of the captures; auto: each is recognised by its beginning"),
    ROW(CI_CHOICE, data.duplicates, "once", "once|keep", "", "training captures of equal content: used once, or kept as the reference does"),
    ROW(CI_BYTES,  data.expand_max, "68719476736", "[4096, 4611686018427387904]", "bytes", "that a compressed capture may expand to"),
    ROW(CI_BYTES,  data.block, "4194304", "[4096, 1073741824]", "bytes", "size of one scan block"),

    ROW(CI_PATH,   run.dir, "runs/run", "", "", "run directory"),
    ROW(CI_BYTES,  run.memory, "0", "[0, 1125899906842624]", "bytes", "that a rank may take to build; 0: its share of what the job or the machine has"),
    ROW(CI_CHOICE, run.log, "info", "error|warn|info|debug", "", "how much is logged"),

    ROW(CI_I32,    window.frames, "100", "[2, 65535]", "frames", "length of one graph's window"),
    ROW(CI_I32,    window.stride, "100", "[1, 1048576]", "frames", "from one window's first frame to the next's"),

    ROW(CI_CHOICE, features.set, "kd35", "kd35|kd11|agnostic", "", "feature set; agnostic: no identifier and no byte, all relative to the stream's own past"),
    ROW(CI_CHOICE, features.compat, "none", "none|reference", "", "reference: the published pairs: kd35 W-2 edges, one step behind; kd11 W pairs of W+1 frames"),
    ROW(CI_CHOICE, features.past, "guard", "none|run|guard|both|prefix|profile", "", "agnostic: what a window is judged against: nothing; all frames before; those that were not odd; run and guard; the first features.prefix_s; features.profile"),
    ROW(CI_F64,    features.prefix_s, "10", "(0, 1000000]", "seconds", "of a capture that are taken for free of attacks, with features.past: prefix"),
    ROW(CI_TEXT,   features.profile, "", "", "", "profile of the vehicle, or folder with <vehicle>.profile of each of data.vehicles, with features.past: profile"),

    ROW(CI_CHOICE, vocab.scope, "train", "train|benign", "", "folders that the vocabulary is built from"),
    ROW(CI_CHOICE, contract.policy, "fail", "fail|quarantine|accept", "", "of kinds that say default; accept repairs those that can be repaired, the others fail"),
    ROW(CI_F64,    contract.max_share, "0.001", "[0, 1]", "", "share of all lines of the data set that may be quarantined"),
#define KIND(NAME, name, what) ROW(CI_CHOICE, contract.name, "default", "default|fail|quarantine|accept", "", what),
    CI_CONTRACT_KINDS(KIND)
#undef KIND

    ROW(CI_CHOICE, store.layout, "auto", "auto|compact|float32|messages", "", "compact: nodes in half precision, edges exact; float32: as computed; messages: frames, graphs are built when read; auto: compact where the features have it, else float32"),
    ROW(CI_I64,    store.chunk, "64", "[1, 1048576]", "graphs", "built and written at a time"),
    ROW(CI_I64,    store.flush, "16384", "[1, 1000000000]", "graphs", "after which a rank hands what it has to the disk and the ranks agree"),

    ROW(CI_CHOICE, split.mode, "blocked", "blocked|random", "", "blocked: runs of windows, with an embargo between; random: windows, as the reference does (leaks between neighbours)"),
    ROW(CI_F64,    split.share, "0.2", "(0, 1)", "", "random: of the training windows that validates"),
    ROW(CI_I32,    split.blocks, "20", "[2, 10000]", "blocks", "that the windows of a training capture are cut into"),
    ROW(CI_I32,    split.every, "5", "[2, 10000]", "blocks", "one of so many is validation"),
    ROW(CI_CHOICE, split.allow_leak, "none", "none|reference", "", "reference: accept the leaks of the published protocol, stamped on every result"),
    ROW(CI_CHOICE, split.folds, "none", "none|vehicle|capture|attack", "", "what is left out of training in turn, so that thresholds come from windows that the judging model has not seen"),
    ROW(CI_I32,    split.fold, "-1", "[-1, 10000]", "", "the one of them that is left out; -1: none, the model that is used"),

    ROW(CI_CHOICE, model.name, "gat", "gat|vgae|dqn", "", "model: gat judges windows, vgae learns what benign ones look like, dqn weighs the two"),
    ROW(CI_CHOICE, model.scale, "small", "small|large", "", "its size: models/<name>/<scale>.yaml"),
    ROW(CI_CHOICE, model.auxiliary, "none", "none|kd_standard", "", "what else trains it: auxiliaries/<name>.yaml"),
    ROW(CI_CHOICE, model.preset, "default", "default|paper|g4|g2|reference|agnostic", "", "shapes: other than default, presets/<preset>/<name>_<scale>.yaml over models/; reference: g2 with the published protocol; agnostic: for features.set agnostic"),
    ROW(CI_CHOICE, model.id_encoding, "lookup", "lookup|hash", "", "a row of a table for each identifier, or the sum of model.id_probes rows of model.id_buckets"),
    ROW(CI_I32,    model.id_dim, "16", "[0, 256]", "columns", "embedding of an identifier; 0: the model does not see identifiers"),
    ROW(CI_I32,    model.id_buckets, "2048", "[1, 1048576]", "rows", "of the hashed table"),
    ROW(CI_I32,    model.id_probes, "2", "[1, 8]", "rows", "of the hashed table that are summed for an identifier"),
    ROW(CI_I32,    model.project, "0", "[0, 1024]", "columns", "of a linear layer between inputs and attention; 0: none"),
    ROW(CI_CHOICE, model.conv, "gatv2", "gatv1|gatv2|transformer|gps", "", "kind of attention"),
    ROW(CI_CHOICE, model.edge_features, "use", "use|ignore", "", "whether attention sees them"),
    ROW(CI_I32,    model.heads, "4", "[1, 64]", "heads", "of attention; vgae: of the encoder's first layer"),
    ROW(CI_I32,    model.channels, "24", "[1, 1024]", "columns", "of one head of a gat"),
    ROW(CI_I32,    model.layers, "2", "[1, 8]", "layers", "of attention of a gat"),
    ROW(CI_F64,    model.slope, "0.2", "[0, 1]", "", "of leaky ReLU in the attention"),
    ROW(CI_CHOICE, model.norm, "none", "none|graph|batch|layer", "", "normalisation behind each attention layer; batch: over all ranks"),
    ROW(CI_CHOICE, model.jk, "cat", "cat|lstm|attention|max|last", "", "jumping knowledge: what becomes of the layers' outputs"),
    ROW(CI_CHOICE, model.pool, "mean", "mean|max|sum|attention|meanmax", "", "of the nodes of a graph"),
    ROW(CI_I32,    model.head_layers, "3", "[1, 8]", "layers", "of the classifier"),
    ROW(CI_I32,    model.head_dim, "192", "[0, 4096]", "columns", "of a hidden layer of the classifier; 0: as many as are pooled"),
    ROW(CI_INTS,   model.hidden, "64", "[1, 1024]", "columns", "vgae: of each layer of the encoder; the decoder mirrors all but the first"),
    ROW(CI_I32,    model.inner_heads, "1", "[1, 64]", "heads", "vgae: of the other layers of the encoder"),
    ROW(CI_I32,    model.decoder_heads, "4", "[1, 64]", "heads", "vgae: of the decoder's layers but the last, which has one"),
    ROW(CI_I32,    model.latent, "64", "[1, 1024]", "columns", "vgae: of the latent space"),
    ROW(CI_F64,    model.logvar_limit, "10", "(0, 80]", "", "vgae: the logarithm of the variance is clamped to +- this"),
    ROW(CI_CHOICE, model.output, "linear", "linear|sigmoid", "", "vgae: what the decoder ends in"),
    ROW(CI_CHOICE, model.neighbour, "gaussian", "none|gaussian|exact", "", "vgae: loss of the neighbourhood: of two normal distributions, or of every identifier"),
    ROW(CI_CHOICE, model.edge_head, "mlp", "none|mlp", "", "vgae: whether edge features are reconstructed"),
    ROW(CI_CHOICE, model.window, "both", "none|pool|linear|both", "", "gat: where the columns of a window enter, of features that have them: beside the pooled nodes, as a linear term of the logits, or both"),
    ROW(CI_CHOICE, model.message_head, "none", "none|mlp", "", "gat: whether frames are judged one by one, too, of features that have labels of edges"),

    ROW(CI_I32,    train.seed, "42", "[0, 2147483647]", "", "of shuffle, initial weights, dropout and split"),
    ROW(CI_I32,    train.batch, "256", "[1, 1048576]", "graphs", "in a global batch, at most"),
    ROW(CI_I64,    train.batch_nodes, "0", "[0, 1000000000]", "nodes", "in a global batch, at most; 0: no limit"),
    ROW(CI_I64,    train.batch_edges, "0", "[0, 1000000000]", "edges", "in a global batch, at most; 0: no limit"),
    ROW(CI_I32,    train.shard_rows, "256", "[1, 16777216]", "nodes", "of one shard, at most"),
    ROW(CI_I32,    train.threads, "0", "[0, 1024]", "threads", "of a rank; 0: as many as its share of the cores"),
    ROW(CI_I32,    train.epochs, "100", "[1, 1000000]", "epochs", "at most"),
    ROW(CI_I32,    train.patience, "15", "[1, 1000000]", "epochs", "without a better train.monitor before training ends"),
    ROW(CI_I64,    train.steps, "0", "[0, 1000000000000000]", "steps", "after which training stops; 0: no such limit"),
    ROW(CI_CHOICE, train.scale, "zscore", "zscore|robust|none", "", "of the columns, fitted on benign training windows: mean and spread, median and quartiles, or none"),
    ROW(CI_CHOICE, train.population, "all", "all|benign", "", "training windows that are learned from"),
    ROW(CI_CHOICE, train.injected, "with", "with|without", "", "whether the captures of data.injected are learned from; a run of several models does both"),
    ROW(CI_CHOICE, train.loss, "focal", "focal|ce|weighted_ce", "", "of the classifier"),
    ROW(CI_F64,    train.gamma, "2", "[0, 20]", "", "exponent of the focal loss"),
    ROW(CI_F64,    train.attack_weight, "5", "(0, 10000]", "", "weighted_ce: weight of an attack, of a benign window 1"),
    ROW(CI_F64,    train.message, "0.5", "[0, 1000000]", "", "gat with a message head: weight of the frames' cross entropy"),
    ROW(CI_F64,    train.recon, "1", "[0, 1000000]", "", "vgae: weight of the reconstruction of node features"),
    ROW(CI_F64,    train.id, "0.1", "[0, 1000000]", "", "vgae: weight of the identifiers' cross entropy"),
    ROW(CI_F64,    train.neighbour, "0.1", "[0, 1000000]", "", "vgae: weight of the neighbourhood"),
    ROW(CI_F64,    train.kl, "0.01", "[0, 1000000]", "", "vgae: weight of the divergence from the normal distribution"),
    ROW(CI_F64,    train.edge, "0.1", "[0, 1000000]", "", "vgae: weight of the reconstruction of edge features"),
    ROW(CI_F64,    train.mask, "0.15", "[0, 1)", "", "vgae: share of nodes whose features and identifier are hidden"),
    ROW(CI_CHOICE, train.monitor, "auroc", "auroc|loss|average_precision|f1|mcc|gap|max_gap|ratio", "", "on validation, decides the best checkpoint and the end; gap, ratio: of the reconstruction error of attacks and benign windows"),
    ROW(CI_CHOICE, train.anomaly, "calibrated", "calibrated|recon", "", "vgae: score of a window: the largest of four measures against benign validation windows, or the reconstruction error"),
    ROW(CI_CHOICE, train.optimizer, "adam", "adam|adamw", "", "adamw: weight decay apart from the gradient"),
    ROW(CI_F64,    train.lr, "0.001", "(0, 10]", "", "learning rate"),
    ROW(CI_F64,    train.decay, "0.0001", "[0, 1]", "", "weight decay"),
    ROW(CI_F64,    train.beta1, "0.9", "[0, 1)", "", "of Adam: decay of the first moment"),
    ROW(CI_F64,    train.beta2, "0.999", "[0, 1)", "", "of Adam: decay of the second moment"),
    ROW(CI_F64,    train.eps, "1.0e-08", "(0, 1]", "", "of Adam: added to the root"),
    ROW(CI_F64,    train.dropout, "0.2", "[0, 1)", "", "share of activations dropped"),
    ROW(CI_F64,    train.unk_drop, "0.05", "[0, 1)", "", "share of identifiers trained as unknown"),
    ROW(CI_F64,    train.group_drop, "0", "[0, 1)", "", "share of training windows that a group of columns (of evidence of one kind) is hidden from"),
    ROW(CI_F64,    train.clip, "1", "(0, 1000000000]", "", "largest norm of the gradient"),
    ROW(CI_CHOICE, train.schedule, "none", "none|cosine|step|plateau", "", "of the learning rate"),
    ROW(CI_F64,    train.warmup, "0", "[0, 1000000]", "epochs", "in which the learning rate rises from 0"),
    ROW(CI_F64,    train.lr_min, "0", "[0, 10]", "", "cosine, plateau: lowest learning rate"),
    ROW(CI_I32,    train.schedule_epochs, "0", "[0, 1000000]", "epochs", "cosine: of the half wave, 0: train.epochs; step: between steps, 0: 50"),
    ROW(CI_F64,    train.schedule_gamma, "0.1", "(0, 1]", "", "step, plateau: factor of the learning rate"),
    ROW(CI_I32,    train.schedule_patience, "10", "[0, 1000000]", "epochs", "plateau: without a better train.monitor before the factor"),
    ROW(CI_CHOICE, train.precision, "fp32", "fp32|tf32|bf16", "", "of the factors of matrix products; sums are fp32; tf32: on a device alone"),
    ROW(CI_CHOICE, train.reduce, "exact", "exact|fast", "", "sums over ranks: of integers, with the same weights on any number of ranks; or of floats, half as long, with weights that hang on it"),
    ROW(CI_CHOICE, train.curriculum, "none", "none|hard|easy|momentum", "", "which benign windows an epoch has: hard: the most difficult, more with time; easy: weights from the least difficult on; momentum: from balanced to natural"),
    ROW(CI_TEXT,   train.difficulty, "", "", "", "run directory of the vgae that says what is difficult; empty: the one of the same scale beside"),
    ROW(CI_F64,    train.curriculum_tau, "30", "(0, 1000000]", "epochs", "momentum: time constant"),
    ROW(CI_F64,    train.checkpoint_s, "300", "[0, 100000000]", "seconds", "between checkpoints inside an epoch; 0: none"),
    ROW(CI_CHOICE, train.isa, "auto", "auto|generic|avx2|avx512", "", "instructions of the kernels"),
    ROW(CI_CHOICE, train.device, "auto", "auto|cpu|cuda", "", "where models are trained and judged; auto: on GPUs, one a rank, where there are any, but fusion, too small to gain by it, learns on the CPU; cuda: fusion too, and it is an error when there are none"),
    ROW(CI_CHOICE, train.device_data, "auto", "auto|resident|stream", "", "training windows on a device: all of them in its memory, or each step's sent while the one before is computed; auto: resident where they fit"),
    ROW(CI_I64,    train.device_memory, "0", "[0, 1073741824]", "MiB", "of a device's memory that may be planned with; 0: what is free, less a reserve"),

    ROW(CI_TEXT,   distill.teacher, "", "", "", "run directory of the teacher; empty: the large model without auxiliary beside"),
    ROW(CI_F64,    distill.alpha, "0", "[0, 1]", "", "share of the teacher in the loss; 0: no teacher"),
    ROW(CI_F64,    distill.temperature, "4", "(0, 1000]", "", "gat: of the softmax of both logits"),
    ROW(CI_F64,    distill.latent, "0.5", "[0, 1000000]", "", "vgae: weight of the teacher's latent mean"),
    ROW(CI_F64,    distill.recon, "0.5", "[0, 1000000]", "", "vgae: weight of the teacher's reconstruction"),
    ROW(CI_I32,    distill.cka, "500", "[0, 100000]", "graphs", "of validation in the report of teacher and student alike (CKA); 0: none"),

    ROW(CI_CHOICE, fusion.method, "dqn", "dqn|linucb|mlp|moe|average", "", "what model dqn is: how the scores of vgae and gat become one"),
    ROW(CI_I32,    fusion.state, "15", "[15, 18]", "columns", "of what it sees of a window: 15 or 18"),
    ROW(CI_TEXT,   fusion.vgae, "", "", "", "run directory of the vgae; empty: the one beside"),
    ROW(CI_TEXT,   fusion.gat, "", "", "", "run directory of the gat; empty: the one beside"),
    ROW(CI_CHOICE, fusion.reward, "minimal", "minimal|legacy", "", "of dqn and linucb"),
    ROW(CI_I32,    fusion.actions, "21", "[2, 1001]", "weights", "to choose from, evenly in [0, 1]"),
    ROW(CI_CHOICE, fusion.anomaly, "moebius", "moebius|percentile", "", "what dqn and linucb make of the vgae's errors w: w/(1+w), or the share of benign validation windows below"),
    ROW(CI_I32,    fusion.hidden, "128", "[1, 4096]", "columns", "of a hidden layer of dqn and linucb; mlp and moe have 64 and 32"),
    ROW(CI_I32,    fusion.layers, "3", "[1, 8]", "layers", "hidden ones of dqn and linucb"),
    ROW(CI_CHOICE, fusion.norm, "layer", "none|layer", "", "of the hidden layers of dqn and linucb"),
    ROW(CI_I32,    fusion.episodes, "200", "[1, 1000000]", "episodes", "or epochs of mlp, moe and average"),
    ROW(CI_I32,    fusion.sample, "4096", "[1, 10000000]", "windows", "of an episode"),
    ROW(CI_I32,    fusion.steps, "16", "[1, 1000000]", "steps", "of the optimiser in an episode"),
    ROW(CI_I32,    fusion.batch, "128", "[1, 1000000]", "windows", "of such a step"),
    ROW(CI_I32,    fusion.buffer, "50000", "[1, 10000000]", "windows", "remembered"),
    ROW(CI_I32,    fusion.max_states, "150000", "[1, 2000000000]", "windows", "of training, at most"),
    ROW(CI_F64,    fusion.lr, "0.001", "(0, 10]", "", "learning rate"),
    ROW(CI_F64,    fusion.decay, "1.0e-05", "[0, 1]", "", "weight decay of AdamW"),
    ROW(CI_F64,    fusion.dropout, "0", "[0, 1)", "", "share of activations dropped"),
    ROW(CI_F64,    fusion.gamma, "0", "[0, 1)", "", "dqn: worth of the next reward; 0: contextual bandit"),
    ROW(CI_F64,    fusion.target, "0.995", "[0, 1)", "", "dqn: share of the old target network kept at a step"),
    ROW(CI_F64,    fusion.epsilon, "0.2", "[0, 1]", "", "dqn: share of random actions in the first episode ..."),
    ROW(CI_F64,    fusion.epsilon_end, "0.01", "[0, 1]", "", "... and in the last"),
    ROW(CI_F64,    fusion.balance, "0.01", "[0, 1000]", "", "moe: weight of the gate's balance"),

    ROW(CI_I32,    eval.draws, "1000", "[0, 1000000]", "draws", "of the bootstrap; 0: no intervals"),
    ROW(CI_I32,    eval.block, "20", "[1, 1000000]", "windows", "of one block of the bootstrap"),
    ROW(CI_CHOICE, eval.weights, "best", "best|last", "", "checkpoint that is judged; last is what the reference does"),
    ROW(CI_CHOICE, eval.threshold, "auto", "auto|youden|t1|b998", "", "youden: on validation; of windows left out by split.folds: t1 the largest F1, b998 the .998 quantile of benign ones; auto: youden without folds, with them b998 if trained with data.injected, else t1"),
    ROW(CI_I32,    eval.curve, "200", "[2, 100000]", "points", "of a curve in the results, at most"),
    ROW(CI_I32,    eval.explain, "0", "[0, 100000]", "graphs", "of each test folder whose embeddings, attention and importance are written"),

    ROW(CI_F64,    comm.deadline_s, "600", "[0.1, 100000000]", "seconds", "that a rank waits for the others"),
    ROW(CI_TEXT,   comm.trace, "", "", "", "file for the names of the collective sites passed; empty: none"),

    ROW(CI_CHOICE, inject.kind, "none", "none|skip|delay|fail|die", "", "what a rank does at inject.site, for tests"),
    ROW(CI_TEXT,   inject.site, "", "", "", "name of a collective site, as comm.trace lists them"),
    ROW(CI_I32,    inject.rank, "0", "[0, 16777216]", "", "the rank that does it"),
    ROW(CI_I32,    inject.pass, "1", "[1, 2147483647]", "", "at which passing of the site"),
    ROW(CI_F64,    inject.seconds, "0", "[0, 100000000]", "seconds", "of a delay"),
    ROW(CI_I32,    inject.crash_point, "0", "[0, 2147483647]", "", "point of the commit protocol to die at; 0: none"),

    ROW(CI_I32,    sim.seed, "1", "[0, 2147483647]", "", "of the simulated traffic"),
    ROW(CI_I32,    sim.vehicles, "3", "[2, 10000]", "vehicles", "simulated; the last one is in no training folder"),
    ROW(CI_I32,    sim.ids_min, "20", "[1, 2000]", "identifiers", "of a vehicle, at least"),
    ROW(CI_I32,    sim.ids_max, "100", "[1, 2000]", "identifiers", "of a vehicle, at most"),
    ROW(CI_F64,    sim.extended, "0", "[0, 1]", "", "share of the identifiers that have 29 bits"),
    ROW(CI_I32,    sim.bitrate, "500000", "[10000, 1000000]", "bit/s", "of the bus"),
    ROW(CI_F64,    sim.seconds, "20", "[1, 10000000]", "seconds", "length of one capture"),
    ROW(CI_I64,    sim.rows, "0", "[0, 50000000000]", "frames", "of one capture, whatever sim.seconds says; 0: as many as fit into sim.seconds"),
    ROW(CI_F64,    sim.file_seconds, "0", "[0, 10000000]", "seconds", "of one file, a capture is split into such; 0: one file a capture"),
    ROW(CI_F64,    sim.attack_share, "0.25", "[0, 0.7]", "", "share of time under attack, in captures with attacks"),
    ROW(CI_TEXT,   sim.known, "DoS,fuzzing", "", "", "attacks that training folders have too"),
    ROW(CI_TEXT,   sim.unknown, "malfunction", "", "", "attacks that only test folders have"),
    ROW(CI_TEXT,   sim.base, "", "", "", "data set below data.root into whose training captures attacks are injected; empty: simulate vehicles too"),
    ROW(CI_I32,    sim.copies, "10", "[1, 1000]", "captures", "with injected attacks, of each training capture of sim.base, or of data.set for data.injected"),
};
/* clang-format on */

const int ci_n_setting = (int)CI_COUNT(ci_settings);
_Static_assert(CI_COUNT(ci_settings) <= CI_SETTING_MAX, "a layer has a place for every row");

int ci_setting_find(const char *key)
{
    for (int i = 0; i < ci_n_setting; i++)
        if (strcmp(ci_settings[i].key, key) == 0) return i;
    return -1;
}

bool ci_setting_section(const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < ci_n_setting; i++)
        if (strncmp(ci_settings[i].key, name, n) == 0 && ci_settings[i].key[n] == '.') return true;
    return false;
}
