/* SPDX-License-Identifier: GPL-2.0 */
/* The DMA oracle's parts: what they share. dma_oracle.c explains the model. */
#ifndef ORACLE_H
#define ORACLE_H

#include "edu.h"
#include "../kselftest/mock_utils.h"

#define WINDOW		0x40000UL	/* the IOVAs of mappings, in pages */
#define WINDOW_SMALL	96U
#define WINDOW_BIG	1024U		/* from here to the end: large pages */
#define WINDOW_PAGES	2560U
#define STAGE		0x3f000UL	/* the stage's IOVA, in pages */

#define NR_SMALL	64U
#define NR_BIG		512U
#define BIG		NR_SMALL	/* slots of a huge page */
#define NR_SLOTS	(NR_SMALL + NR_BIG + 1)
#define STAGE_SLOT	(NR_SLOTS - 1)
#define NR_FILE		32U

#define MAX_PAGES	8192U
#define MAX_IOAS	3U
#define MAX_AREAS	40U
#define MAX_TABLES	8U
#define MAX_DEVICES	4U
#define MAX_STEPS	64U
#define NR_GONE		24U
#define RECORD		16U
#define NONE		(-1)

struct page {
	unsigned char *content;
	unsigned char *view;
};

struct slot {
	enum { EMPTY, PRIVATE, SHARED } kind;
	int at;				/* a page, or an index in the file */
};

struct span {
	unsigned int users;
	bool file, writable;
	unsigned int first, nr;
	unsigned int need[NR_BIG];
	int page[NR_BIG];
};

struct area {
	uint64_t iova;			/* in pages */
	unsigned int offset, nr;
	uint32_t perm;
	struct span *span;
};

struct ioas {
	bool used;
	uint32_t id;
	unsigned int tables, nr;
	struct area areas[MAX_AREAS];
};

struct table {
	bool used, automatic;
	uint32_t id;
	unsigned int ioas, unit, users;
};

struct device {
	unsigned int nr, unit;
	int table;
	uint32_t id;			/* good for HWPT_ALLOC; 0: none */
	/* edu */
	int fd;
	struct edu edu;
	bool stale;			/* slots 8 and 9 to be looked at */
	/* mock */
	struct stdev stdev;
};

/* Where something was, and what. */
struct gone {
	uint64_t iova;
	unsigned int nr;
	int page;			/* the first */
};

/* An errno that the model expects; none at all is success. */
struct expected {
	int errors[8];
	unsigned int nr;
};

struct total {
	unsigned long sequences, steps, ok, refused, allowed, blocked, compared;
};

extern struct page pages[MAX_PAGES];
extern struct slot slots[NR_SLOTS];
extern struct ioas ioases[MAX_IOAS];
extern struct table tables[MAX_TABLES];
extern struct device devices[MAX_DEVICES];
extern struct gone gone[NR_GONE];
extern unsigned int nr_pages, nr_devices, nr_gone;
extern int file_page[NR_FILE];
extern unsigned char *arena, *big, *stage_page, *file_view;
extern int iommufd, file;
extern bool mock, use_big, amd;
extern long pins_before;
extern uint64_t rng;
extern char why[512];
extern unsigned int step;
extern struct total total;

/* dma_oracle.c */
__attribute__((format(printf, 1, 2)))
void wrong(const char *format, ...);
__attribute__((format(printf, 1, 2)))
void tell(const char *format, ...);
void expect(struct expected *e, bool condition, int error);
bool full(bool fixed, int rc);
bool judge(const struct expected *e, int rc);
void must(const char *what, bool ok);

/* oracle_model.c */
unsigned int below(unsigned int n);
int page_new(unsigned char *view);
void record(unsigned char *p, unsigned int offset);
void page_paint(int nr);
void page_lose(int nr);
void slot_empty(unsigned int slot);
void slot_private(unsigned int slot);
bool area_present(const struct area *area);
bool ioas_present(const struct ioas *ioas);
void area_add(struct ioas *ioas, struct span *span, uint64_t iova,
		     unsigned int offset, unsigned int nr, uint32_t perm);
void area_remove(struct ioas *ioas, unsigned int i);
struct area *area_at(struct ioas *ioas, uint64_t iova);
bool ioas_meets(const struct ioas *ioas, uint64_t iova, unsigned int nr);
int table_new(unsigned int ioas, unsigned int unit, bool automatic);
void table_free(struct table *table);
void table_put(int nr);
unsigned int free_tables(void);
long pins_expected(void);
int lookup(const struct device *device, uint64_t iova, uint32_t *perm);
unsigned int draw_length(unsigned int room);

/* oracle_memory.c */
unsigned char *slot_va(unsigned int slot);
void memory_reserve(void);
void memory_begin(void);
void child_end(void);
void step_munmap(void);
void step_mmap(void);
void step_mmap_file(void);
void step_mremap(void);
void step_discard(void);
void step_punch(void);
void step_write(void);
void step_fork(void);
void step_churn(void);

/* oracle_probes.c */
void probe(bool huge);

/* oracle_actions.c */
void step_map(void);
void step_map_file(void);
void step_unmap(void);
void step_copy(void);
void ioas_begin(struct ioas *ioas);
void step_ioas(void);
void step_hwpt(void);
void step_hwpt_destroy(void);
void device_attach(struct device *device);
void step_attach(void);
void device_detach(struct device *device);
void step_detach(void);

#endif
