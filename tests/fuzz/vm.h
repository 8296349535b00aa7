/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of vm_fuzz, and what they share. vm_fuzz.c tells the model.
 *
 *	vm_calls.c	the table of calls, what their arguments mean, doing one
 *	vm_aim.c	what calls made, and calls that use it
 *	vm_program.c	programs: as text, by chance, changed; the corpus
 *	vm_cover.c	which edges of our modules were taken
 *	vm_run.c	an executor: the process that runs one program after the other
 *	vm_crash.c	what the kernel says against it, and shortening what causes that
 *	vm_fuzz.c	options, watching the executors, the report
 */
#ifndef VM_H
#define VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define NR_ARGS		8
#define MAX_CALLS	2000
#define NR_THREADS	3
#define MAX_EXECUTORS	16
#define MAX_CORPUS	4096
#define NR_RECENT	16
#define NR_ERRNO	134
#define MAX_KINDS	128

/* ---- where memory is ---- */

#define ARENA_ADDRESS	0x20000000UL
#define NR_ARENA	64U	/* pages */
#define BIG_ADDRESS	0x20200000UL
#define NR_FILE		16U	/* pages of the memfd */

/* ---- programs ---- */

/* aim: 0, or it is changed to meet what is there, the (aim - 1)-th last range */
struct call {
	unsigned char what, thread, second, fault, aim, args[NR_ARGS];
};

struct program {
	unsigned int nr;
	struct call calls[MAX_CALLS];
};

void random_seed(uint64_t seed);
unsigned int below(unsigned int n);
void program_random(struct program *program, bool faults);
void program_change(struct program *program, bool faults);
void program_copy(struct program *to, const struct program *from);
void program_cut(struct program *program, unsigned int at, unsigned int nr);
void program_write(FILE *f, const char *prefix, const struct program *program);
/* One more program from a file of them; false at its end. Exits on bad text. */
bool program_read(FILE *f, const char *path, struct program *program);
unsigned int programs_load(const char *path, struct program *to, unsigned int room);

/* ---- the table ---- */

enum slot {
	IOMMU, DEVICE, GROUP, CONTAINER, MEMFD, ACCESS, STREAM, EVENT, KVM, NR_SLOTS
};

/* Kinds of IDs. The last NR_IDS of each are remembered. */
enum class { IOAS = 1, HWPT, DEV, STDEV, PINNED, NR_CLASSES };
#define NR_IDS	4U

/* The open file of a place, or -1; of @second the last bit counts. */
int get_fd(unsigned int slot, unsigned int second);
unsigned int nr_kinds(void);
const char *kind_name(unsigned int what);
unsigned int kind_weight(unsigned int what);
bool kind_is_ioctl(unsigned int what);
/* It takes as long as a hundred others: devices and processes are made. */
bool kind_is_slow(unsigned int what);
/* Nothing that this kernel or these devices can do */
bool kind_is_refused(unsigned int what);
int kind_find(const char *name);
void call_trim(struct call *call);
void call_explain(FILE *f, const struct call *call);

/* The devices of an executor, two at most. */
struct fuzz_device {
	char file[64], group[64], name[64];
};

void calls_begin(const struct fuzz_device *first, const struct fuzz_device *second);
void calls_reset(void);
void calls_forget(void);
/* Returns what the call did, or -errno; -EBADF: there is no file to do it with. */
long call_run(const struct call *call, const struct program *rest, unsigned int at);
void call_inherited(int argc, char **argv);

/* ---- aiming ---- */

void aim_reset(void);
void aim_closed(unsigned int slot, unsigned int second);
unsigned int aim_second(unsigned long cmd, unsigned int second);
bool aim(unsigned long cmd, void *buffer, unsigned int second, unsigned int n,
	 const unsigned char *args);
uint32_t aim_pt(unsigned long cmd, const void *buffer);
void learn(unsigned long cmd, const void *buffer, unsigned int second, uint32_t pt);
void learn_absent(unsigned long cmd, const void *buffer, unsigned int second);
void made_add(unsigned int class, unsigned int space, uint32_t id, uint32_t of);
uint32_t made_any(unsigned int class, unsigned int i, bool given);

/* ---- coverage ---- */

#define EDGES	(1U << 18)
#define PCS	(1U << 17)

struct cover {
	unsigned int edges, blocks;
	unsigned char edge[EDGES];
	uint32_t pc[PCS];
};

struct cover *cover_new(void);
/* In the thread whose calls count; false: no KCOV here. */
bool cover_enable(unsigned int thread);
void cover_start(unsigned int thread);
/* What it took since the start, all new edges of the run go into its list. */
void cover_stop(unsigned int thread, unsigned int index, unsigned int what, long rc);
void cover_run_begin(void);
unsigned int cover_run_new(const uint32_t **list, unsigned int *last);
/* Did the run take these? How many of them, which are then the first ones? */
bool cover_run_took(const uint32_t *list, unsigned int nr);
unsigned int cover_run_again(uint32_t *list, unsigned int nr);

/* ---- executors ---- */

struct kind_count {
	unsigned long ok, ns, failed[NR_ERRNO];
};

struct executor {
	pid_t pid;
	unsigned long programs;
	unsigned int nr_recent;
	struct program recent[NR_RECENT];
};

struct shared {
	bool stop, kcov, profile;
	unsigned long kills, forks, aimed, aimed_ok;
	struct kind_count kinds[MAX_KINDS];
	struct executor executors[MAX_EXECUTORS];
	unsigned int nr_corpus, next_seed;
	struct program corpus[MAX_CORPUS];
};

extern struct shared *shared;
extern struct cover *cover;

/* Programs that are tried before any others, and kept if they add something. */
extern struct program *seeds;
extern unsigned int nr_seeds;

pid_t executor_fork(unsigned int nr, uint64_t seed);
void executor_devices(const struct fuzz_device *list, unsigned int n);
/* Run this program @times, in a process of its own; false: it cannot be killed. */
bool program_try(const struct program *program, unsigned int times);
bool ends(pid_t pid, int ms);

/* ---- what the kernel says ---- */

void complaints_begin(void);
/* NULL: nothing since the last time */
const char *complaint(void);
const char *complaint_of_pages(unsigned int seconds);
/* Find the program, shorten it and leave it in @dir. */
void crash_report(const char *dir, const char *said);

#endif
