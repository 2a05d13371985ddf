/* The command line and its help. */
#include <stdio.h>
#include <string.h>
#include "ci/layout.h"
#include "ci/types.h"
#include "cmd_priv.h"

static const struct {
    const char *name, *operand, *does;
} verbs[] = {
    {"sim", "FILE.yaml", "write simulated captures of vehicles with labelled attacks"},
    {"scan", "FILE.yaml", "find captures, check every row, count, gather the vocabulary"},
    {"build", "FILE.yaml", "windows to graphs: the store"},
    {"train", "FILE.yaml", "train the model, or each of `models`; goes on from the last checkpoint"},
    {"eval", "FILE.yaml", "results per test folder and attack"},
    {"run", "FILE.yaml", "all steps of `pipeline` in order, skipping what is already true"},
    {"doctor", "[DATA|FILE.yaml]", "what a scan would find in a set, a folder or a file, as advice (--json)"},
    {"convert", "FILE ...", "captures of any dialect as one of four columns or of candump: --to, --out"},
    {"profile", "learn|merge|inspect", "what is normal on a bus: learn FILE.yaml -o FILE CAPTURE ..., merge -o FILE A B ..., inspect FILE"},
    {"inspect", "FILE", "say what a store, a checkpoint, a profile or a run directory is (--json)"},
    {"export", "STORE", "a store as NPY or CSV files in a new folder (--to npy|csv --out FOLDER)"},
    {"info", "", "program, libraries, machine (--json); --features: what the columns are"},
    {"config", "[explain] [FILE]", "every setting, its value and where it came from"},
};

static const char options_help[] =
    "options:\n"
    "  --set KEY=VALUE   override one setting, any number of times (train.epochs=5)\n"
    "  --format NAME     the dialect of the captures, short for --set data.format=NAME\n"
    "  --resume          train, run: there must be a checkpoint to go on from\n"
    "  --json            doctor, inspect, profile inspect, info: one JSON object\n"
    "  --to, --out       convert: four-column or candump; the file, - (standard output) unless it is said\n"
    "                    export: npy or csv; the folder\n"
    "  --out, -o         profile learn and merge: the file\n"
    "  --features        info: every feature set, its columns, units and formulas\n"
    "  --help, --version\n"
    "\n"
    "The verbs with a FILE.yaml run under mpirun -n N, under srun, and alone.  USR1 ends them with a checkpoint.\n"
    "exit codes: 0 done and verified, 64 usage, 65 bad data, 66 input missing, 70 internal, 73 cannot create,\n"
    "  74 input/output, 75 stopped for now: run the same command again, 77 permission, 78 settings\n";

void help_print(const char *verb)
{
    printf("canids: CAN-bus captures to graphs to a judged intrusion detector\n\nusage: canids VERB [options] [FILE]\n\n");
    for (size_t i = 0; i < CI_COUNT(verbs); i++)
        if (!verb || strcmp(verb, verbs[i].name) == 0)
            printf("  %-8s %-18s %s\n", verbs[i].name, verbs[i].operand, verbs[i].does);
    printf("\n%s", options_help);
}

static bool known(const char *verb)
{
    for (size_t i = 0; i < CI_COUNT(verbs); i++)
        if (strcmp(verb, verbs[i].name) == 0) return true;
    return false;
}

static ci_rc set_add(struct options *o, const char *text)
{
    ci_rc rc = CI_OK;

    if (!text || !strchr(text, '=')) CI_FAIL(CI_EUSAGE, "--set wants KEY=VALUE, not \"%s\"", text ? text : "");
    if (o->n_set == SET_MAX) CI_FAIL(CI_EUSAGE, "more than %d --set", SET_MAX);
    o->set[o->n_set++] = text;
done:
    return rc;
}

static ci_rc format_add(struct options *o, const char *name)
{
    static char text[128]; /* lives as long as the options */
    ci_rc rc = CI_OK;

    if (!name) CI_FAIL(CI_EUSAGE, "--format wants a name");
    if (snprintf(text, sizeof text, "data.format=%s", name) >= (int)sizeof text)
        CI_FAIL(CI_EUSAGE, "--format: \"%s\" is no format", name);
    CI_TRY(set_add(o, text));
    o->format = name;
done:
    return rc;
}

static ci_rc operand_add(struct options *o, const char *text)
{
    ci_rc rc = CI_OK;

    if (!o->verb) {
        if (!known(text)) CI_FAIL(CI_EUSAGE, "\"%s\" is no verb; canids --help lists them", text);
        o->verb = text;
    } else if (strcmp(o->verb, "config") == 0 && strcmp(text, "explain") == 0 && !o->file) {
        /* the one thing that config does, said */
    } else if (!o->file || ((strcmp(o->verb, "convert") == 0 || strcmp(o->verb, "profile") == 0) && o->n_file < FILES_MAX)) {
        if (!o->file) o->file = text;
        o->files[o->n_file++] = text;
    } else {
        CI_FAIL(CI_EUSAGE, "%s takes one file, and \"%s\" is one more", o->verb, text);
    }
done:
    return rc;
}

static ci_rc export_complete(const struct options *o)
{
    ci_rc rc = CI_OK;

    if (strcmp(o->verb, "export") != 0) goto done;
    if (!o->file) CI_FAIL(CI_EUSAGE, "export wants a store");
    if (!o->to || (strcmp(o->to, "npy") != 0 && strcmp(o->to, "csv") != 0))
        CI_FAIL(CI_EUSAGE, "export wants --to npy or --to csv%s%s", o->to ? ", not " : "", o->to ? o->to : "");
    if (!o->out || !o->out[0]) CI_FAIL(CI_EUSAGE, "export wants --out FOLDER");
done:
    return rc;
}

static ci_rc convert_complete(const struct options *o)
{
    ci_rc rc = CI_OK;

    if (strcmp(o->verb, "convert") != 0) goto done;
    if (o->n_file == 0) CI_FAIL(CI_EUSAGE, "convert wants a capture");
    if (!o->to || (strcmp(o->to, "four-column") != 0 && strcmp(o->to, "candump") != 0))
        CI_FAIL(CI_EUSAGE, "convert wants --to four-column or --to candump%s%s", o->to ? ", not " : "", o->to ? o->to : "");
    if (o->out && !o->out[0]) CI_FAIL(CI_EUSAGE, "--out wants a file");
    if (o->format && ci_dialect_find(o->format) == CI_DIALECT_NONE && strcmp(o->format, "auto") != 0)
        CI_FAIL(CI_EUSAGE, "--format: \"%s\" is no dialect of captures; data.format in the settings names them", o->format);
done:
    return rc;
}

static ci_rc complete(const struct options *o)
{
    ci_rc rc = CI_OK;

    if (o->help || o->version) goto done;
    if (!o->verb) CI_FAIL(CI_EUSAGE, "a verb is missing; canids --help lists them");
    if (strcmp(o->verb, "info") == 0 && o->file) CI_FAIL(CI_EUSAGE, "info takes no file, not \"%s\"", o->file);
    if (o->json && strcmp(o->verb, "profile") != 0 && strcmp(o->verb, "doctor") != 0 && strcmp(o->verb, "inspect") != 0 && strcmp(o->verb, "info") != 0)
        CI_FAIL(CI_EUSAGE, "--json is for doctor, inspect and info, not for %s", o->verb);
    if (o->resume && strcmp(o->verb, "train") != 0 && strcmp(o->verb, "run") != 0)
        CI_FAIL(CI_EUSAGE, "--resume is for train and run, not for %s", o->verb);
    if (strcmp(o->verb, "inspect") == 0 && !o->file) CI_FAIL(CI_EUSAGE, "inspect wants a file");
    if (o->features && strcmp(o->verb, "info") != 0) CI_FAIL(CI_EUSAGE, "--features is for info, not for %s", o->verb);
    if ((o->to || o->out) && strcmp(o->verb, "export") != 0 && strcmp(o->verb, "convert") != 0 &&
        (o->to || strcmp(o->verb, "profile") != 0))
        CI_FAIL(CI_EUSAGE, "%s is for convert and export, not for %s", o->to ? "--to" : "--out", o->verb);
    CI_TRY(export_complete(o));
    CI_TRY(convert_complete(o));
    CI_TRY(profile_complete(o));
done:
    return rc;
}

ci_rc options_read(int argc, char **argv, struct options *out)
{
    ci_rc rc = CI_OK;
    struct options o = {0};

    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) o.help = true;
        else if (strcmp(a, "--version") == 0) o.version = true;
        else if (strcmp(a, "--json") == 0) o.json = true;
        else if (strcmp(a, "--resume") == 0) o.resume = true;
        else if (strcmp(a, "--features") == 0) o.features = true;
        else if (strcmp(a, "--to") == 0) o.to = ++i < argc ? argv[i] : "";
        else if (strcmp(a, "--out") == 0 || strcmp(a, "-o") == 0) o.out = ++i < argc ? argv[i] : "";
        else if (strcmp(a, "--set") == 0) CI_TRY(set_add(&o, ++i < argc ? argv[i] : NULL));
        else if (strncmp(a, "--set=", 6) == 0) CI_TRY(set_add(&o, a + 6));
        else if (strcmp(a, "--format") == 0) CI_TRY(format_add(&o, ++i < argc ? argv[i] : NULL));
        else if (strncmp(a, "--format=", 9) == 0) CI_TRY(format_add(&o, a + 9));
        else if (a[0] == '-' && a[1]) CI_FAIL(CI_EUSAGE, "\"%s\" is no option; canids --help lists them", a);
        else CI_TRY(operand_add(&o, a));
    }
    CI_TRY(complete(&o));
    *out = o;
done:
    return rc;
}
