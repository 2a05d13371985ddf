#include "case.h"

emu_case *emu_case::all;

int main(int argc, char **argv)
{
    for (emu_case *c = emu_case::all; c; c = c->next)
        if (argc > 1 && strcmp(argv[1], c->name) == 0) {
            c->run();
            return 0;
        }
    fprintf(stderr, "no such case\n");
    return 2;
}
