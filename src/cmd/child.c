/* HDF5 has crashed on broken files: a child reads, and a crash of the child is a verdict on the file. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ci/commit.h"
#include "ci/log.h"
#include "cmd_priv.h"

ci_rc file_check(const char *path, char identity[CI_SHA256_HEX])
{
    ci_rc rc;

    identity[0] = 0;
    rc = ci_commit_check(path, identity);
    if (rc != CI_ENOENT || access(path, R_OK) != 0) return rc;
    ci_log(CI_WARN, "%s has no commit record beside it: its bytes cannot be checked", path);
    return CI_OK;
}

ci_rc in_child(const struct options *o, ci_rc (*work)(const struct options *))
{
    ci_rc rc = CI_OK;
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child < 0) CI_FAIL(CI_ENOMEM, "fork: %s", strerror(errno));
    if (child == 0) _exit(ended(work(o)));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) raise(SIGPIPE); /* who read what was said has gone: no word on the file */
    if (WIFSIGNALED(status)) CI_FAIL(CI_EFORMAT, "%s is corrupt: reading it ended with signal %d", o->file, WTERMSIG(status));
    _exit(WEXITSTATUS(status)); /* the child has said everything */
done:
    return rc;
}
