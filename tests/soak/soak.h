/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the soak share: slots, the memory in which everybody counts,
 * chance, and how a failure is reported. soak.c tells the whole.
 */
#ifndef SOAK_H
#define SOAK_H

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "../dma/edu.h"
#include "../kselftest/group_utils.h"
#include "../kselftest/qmp.h"
#include "../kselftest/vcopy_utils.h"

#define USER	4242		/* whose memory is locked */
#define LIMIT	(64 * MiB)	/* RLIMIT_MEMLOCK of each client */

#define MAX_SLOTS	32
#define MAX_FAILURES	16

/* ---- chance ---- */

/* The seed of a process is that of the run, its slot and its number there. */
struct chance {
	uint64_t state;
};

static inline uint64_t next(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0 to @nr - 1 */
static inline uint64_t below(struct chance *chance, uint64_t nr)
{
	return next(chance) % nr;
}

static inline bool percent(struct chance *chance, unsigned int n)
{
	return below(chance, 100) < n;
}

/* ---- slots ---- */

enum kind { EDU, EDU_PLUGGED, NVME, NVME_PLUGGED, VF, PAIR, VCOPY, NR_KINDS };

enum way { BY_CDEV, BY_GROUP, BY_CONTAINER, NR_WAYS };

/* One device, or one place where a device may be. At most one client at a time. */
struct slot {
	enum kind kind;
	char name[UUID_LEN + 1];	/* BDF, or the UUID of a vcopy; may change */
	char other[16];			/* PAIR: the second function */
	const char *type;		/* VCOPY: "pin", "rw" */
	int pf, number;			/* VF: slot of its PF, which one */
	atomic_uint ios, replaces, resets, opens, gone, without_memory, kills;
	/*
	 * Odd while somebody else resets, removes or adds the device. A client
	 * that saw it odd, or change, may find its device dead.
	 */
	atomic_uint disturbed;
	atomic_int held;		/* nobody is killed or started now */
	unsigned int longest_ms;	/* that a client lived on after SIGKILL */

	/* of the one who kills */
	struct chance chance;
	unsigned int serial;
	pid_t pid;
	uint64_t when;			/* to kill, or if @dead: was killed; ms */
	bool dead;
};

enum churn {
	UNPLUGS, PLUGS, VFS_MADE, VFS_REMOVED, MDEVS_REMOVED, FUNCTION_RESETS,
	THP_SPLITS, THP_COLLAPSES, HUGETLB, COMPACTIONS, HOGS, NR_CHURN
};

struct shared {
	struct slot slots[MAX_SLOTS];
	int nr_slots;
	char pf[16];			/* of the VFs */
	unsigned int patience;
	atomic_int stop;
	atomic_uint churn[NR_CHURN];
	atomic_int nr_failures;
	char failures[MAX_FAILURES][256];
};

extern struct shared *shared;
extern const char *const kind_names[NR_KINDS];

uint64_t now_ms(void);
void __attribute__((format(printf, 1, 2))) report(const char *fmt, ...);
pid_t start(void (*fn)(struct chance *chance, int arg), uint64_t seed, int arg);

/* clients.c */
void client(struct slot *slot, struct chance *chance);
int slot_path(const struct slot *slot, bool group, char path[static 64]);
int slot_usable(struct slot *slot, enum way way);
extern const uint8_t soak_token[16];

/* churn.c */
void hotplug(struct chance *chance, int arg);
void sriov(struct chance *chance, int arg);
void resets(struct chance *chance, int arg);
void mdevs(struct chance *chance, int arg);
void huge_pages(struct chance *chance, int arg);
void pressure(struct chance *chance, int arg);

/* counters.c */
#define MAX_COUNTERS 64
struct counters {
	int nr;
	struct counter {
		char name[40];
		long value;
		long margin;	/* that it may be off by, up or down */
	} counters[MAX_COUNTERS];
};

void counters_take(struct counters *counters);
int counters_compare(const struct counters *before, const struct counters *after);
int user_locks_all_again(void);
long user_tables(void);
int kernel_driver_takes(const char *bdf);

#endif
