/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the benchmark.
 *
 *   bench.c	cases A to h, and main()
 *   scale.c	cases with many mappings, tables and contexts, and with two threads
 *   backend.c	the ways to map memory
 *   measure.c	clock, memory in use, buffers, results
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "floor/floor_uapi.h"

#define KIB		1024ull
#define MIB		(1024 * KIB)
#define PG		4096ull
#define HUGE2M		(2 * MIB)
#define BASE		(4096 * MIB)	/* clear of the MSI window at 0xfee00000 */
#define STRIDE		(2 * PG)	/* small mappings never touch each other */
#define SLOTS		65536u

/* ---- marks ------------------------------------------------------------ */

/*
 * nopl with an address that is found nowhere else: what is between these two is
 * counted by function, see profile.c.
 */
static inline __attribute__((always_inline)) void mark_begin(const int nr)
{
	__asm__ volatile("nopl 0x5eed0000+%c0(%%rax,%%rax,1)" : : "i"(nr));
}

static inline __attribute__((always_inline)) void mark_end(const int nr)
{
	__asm__ volatile("nopl 0x5eee0000+%c0(%%rax,%%rax,1)" : : "i"(nr));
}

enum {
	MARK_D, MARK_E_MAP, MARK_E_UNMAP, MARK_F, MARK_BIG_MAP, MARK_BIG_UNMAP,
	MARK_H0_ATTACH, MARK_H0_REPLACE, MARK_H0_SWAP, MARK_H0_IOAS,
	MARK_TRACE = 0x100,	/* for locks.c: everything between, in order */
};

/* ---- measure.c -------------------------------------------------------- */

/* What is printed is kept in memory until flush_out(). */
void out(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void flush_out(void);
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

uint64_t now(void);
double ns_per_instruction(void);

struct mem {
	uint64_t free_kib;	/* buddy plus per-cpu lists, so exact */
	uint64_t slab_kib;
};

struct mem mem_before(void);
struct mem mem_after(void);
void mem_result(const char *name, struct mem a, struct mem b, uint64_t mapped, uint64_t nmaps);

enum kind { SCATTERED, LINEAR, THP, HUGETLB };

uint64_t perm(uint64_t i);
unsigned long count_runs(char *p, size_t len);
char *get_room(enum kind kind, size_t len);
char *get_buffer(enum kind kind, size_t len);

struct series {
	uint64_t min, max, sum;
	int n;
};

void add(struct series *s, uint64_t v);
double spread(const struct series *s);
void result(const char *name, const char *op, uint64_t units, const char *unit,
	    uint64_t total, double spread);
void report(const char *name, const char *op, uint64_t units, const char *unit,
	    const struct series *s);

/* ---- backend.c -------------------------------------------------------- */

struct backend {
	const char *name;
	void (*open)(void);
	void (*close)(void);
	int (*map)(uint64_t va, uint64_t iova, uint64_t len);
	int (*unmap)(uint64_t iova, uint64_t len);
	int (*unmap_all)(void);
};

extern const struct backend type1_backend, container_backend, iommufd_backend, floor_backend;
extern const struct backend *be;

extern const char *bdf, *iommufd_path, *cdev_path;
extern int container, ifd, floor_fd;
extern uint32_t ioas, src_ioas;
extern struct floor_knobs knobs;

uint32_t new_ioas(void);
uint32_t new_table(uint32_t id);
void destroy(uint32_t id);
void attach(uint32_t id);
int ioas_map_by(int fd, uint32_t id, uint64_t va, uint64_t iova, uint64_t len);
int ioas_map(uint32_t id, uint64_t va, uint64_t iova, uint64_t len);
int ioas_unmap(uint32_t id, uint64_t iova, uint64_t len);
int ioas_copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t len);
void floor_swap(void);
void floor_detail(const char *name, uint64_t pages, int mapping);

/* ---- scale.c ---------------------------------------------------------- */

void scale_mappings(void);
void scale_tables(void);
void scale_contexts(void);
void populated(void);
void hold_times(void);
void overlap(void);

#endif
