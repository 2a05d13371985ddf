/* CANIDS_EMU_FAULT: what goes wrong because a test asks for it. */
#include "emu_priv.h"

struct fault {
    std::string what, name;
    uint64_t n = 0, seen = 0;
};
static std::vector<fault> faults;

static bool of_this_rank(std::string &word)
{
    const size_t at = word.rfind('@');
    if (at == std::string::npos) return true;
    const std::string rank = word.substr(at + 1);
    word.resize(at);
    const char *mine = getenv("OMPI_COMM_WORLD_RANK");
    return rank == (mine ? mine : "0");
}

void emu_fault_read()
{
    faults.clear();
    const char *v = getenv("CANIDS_EMU_FAULT");
    std::string all = v ? v : "";
    for (size_t at = 0; at < all.size();) {
        const size_t end = std::min(all.find(',', at), all.size());
        std::string word = all.substr(at, end - at);
        at = end + 1;
        if (!of_this_rank(word)) continue;
        fault f;
        const size_t one = word.find(':'), last = word.rfind(':');
        f.what = word.substr(0, one);
        if (one != std::string::npos) {
            f.n = strtoull(word.c_str() + last + 1, nullptr, 10);
            if (last > one) f.name = word.substr(one + 1, last - one - 1);
        }
        faults.push_back(f);
    }
}

static fault *find(const char *what)
{
    for (fault &f : faults)
        if (f.what == what) return &f;
    return nullptr;
}
bool emu_fault_driver() { return find("driver"); }
bool emu_fault_no_device() { return find("nodevice"); }
bool emu_fault_memory(size_t in_use, size_t wanted)
{
    const fault *f = find("oom");
    return f && in_use + wanted > f->n;
}
bool emu_fault_kernel(const char *name)
{
    for (fault &f : faults)
        if (f.what == "kernel" && strstr(name, f.name.c_str()) && ++f.seen == f.n) return true;
    return false;
}
bool emu_fault_nccl()
{
    fault *f = find("nccl");
    return f && ++f->seen >= f->n;
}
