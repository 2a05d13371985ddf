#ifndef EMU_BLOCK_H
#define EMU_BLOCK_H
/* Between the threads of a block and what they have in flight. */
void emu_copies_end(unsigned thread); /* a thread ends: what it did not wait for never arrives */
void emu_copies_forget();
#endif
