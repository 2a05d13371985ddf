/** Every setting of the program, once. */
#include <string.h>
#include "conf_priv.h"
#include "ci/types.h"

#define ROW(kind, path, ...)                                                                    \
    {#path, kind, offsetof(ci_conf, path), sizeof(((ci_conf *)0)->path), __VA_ARGS__}

/* clang-format off */
const ci_setting ci_settings[] = {
    ROW(CI_STEPS,  pipeline, "scan,build,train,eval", "sim|scan|build|train|eval", "", "steps that `run` does, always in the order sim, scan, build, train, eval"),

    ROW(CI_PATH,   data.root, "data", "", "", "folder of data sets"),
    ROW(CI_NAME,   data.set, "", "", "", "name of the data set, a folder below data.root"),
    ROW(CI_LIST,   data.train, "", "", "", "training folders; empty: every train_*"),
    ROW(CI_LIST,   data.test, "", "", "", "test folders; empty: every test_*"),
    ROW(CI_LIST,   data.attack_free, "", "", "", "folders whose files may lack a label column"),
    ROW(CI_CHOICE, data.format, "auto", "auto|four-column|hcrl|hcrl-challenge|hcrl-text|candump|candump-screen|python-can|gvret", "", "dialect of the captures; auto: each is recognised by its beginning"),
    ROW(CI_BYTES,  data.expand_max, "68719476736", "[4096, 4611686018427387904]", "bytes", "that a compressed capture may expand to"),
    ROW(CI_BYTES,  data.block, "4194304", "[4096, 1073741824]", "bytes", "size of one scan block"),

    ROW(CI_PATH,   run.dir, "runs/run", "", "", "run directory"),
    ROW(CI_BYTES,  run.memory, "0", "[0, 1125899906842624]", "bytes", "that a rank may take to build; 0: its share of what the job or the machine has"),
    ROW(CI_CHOICE, run.log, "info", "error|warn|info|debug", "", "how much is logged"),

    ROW(CI_I32,    window.frames, "100", "[2, 65535]", "frames", "length of one graph's window"),
    ROW(CI_I32,    window.stride, "100", "[1, 1048576]", "frames", "from one window's first frame to the next's"),

    ROW(CI_CHOICE, features.set, "kd35", "kd35|kd11|!agnostic", "", "feature set of nodes and edges"),
    ROW(CI_CHOICE, features.compat, "none", "none|reference", "", "reference: the published pairs: kd35 W-2 edges, one step behind; kd11 W pairs of W+1 frames"),

    ROW(CI_CHOICE, vocab.scope, "train", "train|benign", "", "folders that the vocabulary is built from"),
    ROW(CI_CHOICE, contract.policy, "fail", "fail|quarantine|accept", "", "of kinds that say default; accept repairs those that can be repaired, the others fail"),
    ROW(CI_F64,    contract.max_share, "0.001", "[0, 1]", "", "share of all lines of the data set that may be quarantined"),
#define KIND(NAME, name, what) ROW(CI_CHOICE, contract.name, "default", "default|fail|quarantine|accept", "", what),
    CI_CONTRACT_KINDS(KIND)
#undef KIND

    ROW(CI_CHOICE, store.layout, "auto", "auto|compact|float32|messages", "", "compact: nodes in half precision, edges exact; float32: as computed; messages: frames, graphs are built when read; auto: compact where the features have it, else float32"),
    ROW(CI_I64,    store.chunk, "64", "[1, 1048576]", "graphs", "built and written at a time"),
    ROW(CI_I64,    store.flush, "16384", "[1, 1000000000]", "graphs", "after which a rank hands what it has to the disk and the ranks agree"),

    ROW(CI_I32,    split.blocks, "20", "[2, 10000]", "blocks", "that the windows of a training capture are cut into"),
    ROW(CI_I32,    split.every, "5", "[2, 10000]", "blocks", "one of so many is validation"),
    ROW(CI_CHOICE, split.allow_leak, "none", "none|reference", "", "reference: accept the leaks of the published protocol, stamped on every result"),

    ROW(CI_CHOICE, model.name, "gat", "gat|!vgae|!dqn", "", "model"),
    ROW(CI_CHOICE, model.scale, "small", "small|!large", "", "its size: models/<name>/<scale>.yaml"),
    ROW(CI_CHOICE, model.auxiliary, "none", "none|!kd_standard", "", "what else trains it: auxiliaries/<name>.yaml"),
    ROW(CI_I32,    model.id_dim, "16", "[1, 1024]", "columns", "embedding of an identifier"),
    ROW(CI_I32,    model.heads, "4", "[1, 64]", "heads", "of attention"),
    ROW(CI_I32,    model.channels, "24", "[1, 1024]", "columns", "of one head"),
    ROW(CI_I32,    model.layers, "2", "[1, 16]", "layers", "of attention"),
    ROW(CI_I32,    model.head_layers, "3", "[1, 16]", "layers", "of the classifier"),
    ROW(CI_I32,    model.head_dim, "192", "[1, 8192]", "columns", "of a hidden layer of the classifier"),
    ROW(CI_F64,    model.slope, "0.2", "[0, 1]", "", "of leaky ReLU in the attention"),

    ROW(CI_I32,    train.seed, "42", "[0, 2147483647]", "", "of shuffle, initial weights, dropout and split"),
    ROW(CI_I32,    train.batch, "256", "[1, 1048576]", "graphs", "in a global batch"),
    ROW(CI_I32,    train.shard_rows, "256", "[1, 16777216]", "nodes", "of one shard, at most"),
    ROW(CI_I32,    train.threads, "0", "[0, 1024]", "threads", "of a rank; 0: as many as its share of the cores"),
    ROW(CI_I32,    train.epochs, "100", "[1, 1000000]", "epochs", "at most"),
    ROW(CI_I32,    train.patience, "15", "[1, 1000000]", "epochs", "without a better validation AUROC before training ends"),
    ROW(CI_I64,    train.steps, "0", "[0, 1000000000000000]", "steps", "after which training stops; 0: no such limit"),
    ROW(CI_F64,    train.lr, "0.001", "(0, 10]", "", "learning rate of Adam"),
    ROW(CI_F64,    train.decay, "0.0001", "[0, 1]", "", "weight decay"),
    ROW(CI_F64,    train.beta1, "0.9", "[0, 1)", "", "of Adam: decay of the first moment"),
    ROW(CI_F64,    train.beta2, "0.999", "[0, 1)", "", "of Adam: decay of the second moment"),
    ROW(CI_F64,    train.eps, "1.0e-08", "(0, 1]", "", "of Adam: added to the root"),
    ROW(CI_F64,    train.dropout, "0.2", "[0, 1)", "", "share of activations dropped"),
    ROW(CI_F64,    train.gamma, "2", "[0, 20]", "", "exponent of the focal loss"),
    ROW(CI_F64,    train.unk_drop, "0.05", "[0, 1)", "", "share of identifiers trained as unknown"),
    ROW(CI_F64,    train.clip, "1", "(0, 1000000000]", "", "largest norm of the gradient"),
    ROW(CI_F64,    train.checkpoint_s, "300", "[0, 100000000]", "seconds", "between checkpoints inside an epoch; 0: none"),
    ROW(CI_CHOICE, train.isa, "auto", "auto|generic|avx2|avx512", "", "instructions of the kernels"),
    ROW(CI_CHOICE, train.device, "auto", "auto|cpu|!cuda", "", "where training runs"),

    ROW(CI_I32,    eval.draws, "1000", "[0, 1000000]", "draws", "of the bootstrap; 0: no intervals"),
    ROW(CI_I32,    eval.block, "20", "[1, 1000000]", "windows", "of one block of the bootstrap"),

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
    ROW(CI_I32,    sim.copies, "10", "[1, 1000]", "captures", "with injected attacks, of each capture of sim.base"),
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
