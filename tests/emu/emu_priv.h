#ifndef EMU_PRIV_H
#define EMU_PRIV_H
/* What the files of the emulation share. */
#include <cuda_runtime.h>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/* ---- order: order.cc ---- */
enum emu_order { EMU_FORWARD, EMU_REVERSE, EMU_SHUFFLE };
extern emu_order emu_order_now;
void emu_order_seed(); /* another sequence: called for each launch */
extern uint64_t emu_order_state;
static inline unsigned emu_below(unsigned n)
{
    uint64_t s = emu_order_state;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    emu_order_state = s;
    return (unsigned)((s >> 32) * n >> 32);
}
/* 0 .. n-1 in the order of now. */
void emu_arrange(std::vector<unsigned> &out, unsigned n);

/* ---- faults that a test asks for: fault.cc ---- */
void emu_fault_read();
bool emu_fault_driver();
bool emu_fault_no_device();
bool emu_fault_memory(size_t in_use, size_t wanted);
bool emu_fault_kernel(const char *name);
bool emu_fault_nccl();

/* ---- errors: error.cc ---- */
/* Remember what the call returns; a device that failed says so for ever. */
cudaError_t emu_return(cudaError_t e);
cudaError_t emu_failed(); /* the device's own failure, or success */
void emu_fail_device(cudaError_t e, const std::string &why);
void emu_recover();
/* Can this process use a device?  Opens it at the first call that needs one. */
cudaError_t emu_ready();
#define EMU_NEED_DEVICE                                     \
    do {                                                    \
        const cudaError_t ready_ = emu_ready();             \
        if (ready_ != cudaSuccess) return emu_return(ready_); \
    } while (0)

/* ---- one block: block.cc ---- */
/* Runs all threads; false: why says what went wrong. */
bool emu_block_run(const emu_kernel &k, unsigned n_thread, void *shared, std::string &why);
void emu_block_shape(dim3 grid, dim3 block);
/* In a thread: fail the launch. */
[[noreturn]] void emu_fail_launch(const std::string &why);
unsigned emu_thread_now();
unsigned emu_block_threads();

/* ---- a launch: launch.cc ---- */
void emu_grid_run(const char *name, dim3 grid, dim3 block, size_t shared, const emu_kernel &k);

/* ---- streams: stream.cc ---- */
struct emu_op {
    cudaGraphNodeType type;
    std::string name;
    /* Do it, or some of it: true when it is done.  state is this run's own, as an operation of a graph runs often. */
    std::function<bool(std::shared_ptr<void> &state)> run;
};
typedef std::shared_ptr<emu_op> emu_op_ref;
cudaError_t emu_ask(cudaStream_t s, cudaGraphNodeType type, const char *name, std::function<bool(std::shared_ptr<void> &)> run);
void emu_push(emu_stream *s, const emu_op_ref &op);
emu_stream *emu_stream_of(cudaStream_t s); /* nullptr: no such stream */
bool emu_streams_any();
/* Until nothing can go on; what waits for others stays. */
void emu_run_all();
void emu_wait_all(); /* ... nor stays */
/* While capturing, what would wait or touch all streams is refused and spoils the capture. */
cudaError_t emu_no_capture();
void emu_streams_drop();

/* ---- graphs: graph.cc ---- */
struct emu_graph {
    std::vector<emu_op_ref> ops;
};

/* ---- memory: memory.cc ---- */
/* Streams run: memory of the device may be touched. */
struct emu_inside {
    emu_inside();
    ~emu_inside();
};
/* Is this the address of memory that is there, but none of the device? */
bool emu_host_memory(uintptr_t v);
bool emu_memory_any();
size_t emu_memory_total();

#endif
