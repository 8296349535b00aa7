// SPDX-License-Identifier: GPL-2.0
/*
 * How long are locks held, how long are they waited for, and what happens at the
 * same time? From the words of locks.c and the symbols of the guest.
 *
 *	holds TRACE PASS	TRACE and TRACE.blocks are from locks.c; PASS is what
 *				tests/bench/guest printed: lines "K address name module"
 *				by address, and one "L ..." for each pair of marks
 *
 * Model: one processor, several tasks, each with a stack. Where a block is the first of a function
 * that takes or releases a lock, and the block before it was one of iommufd's, that
 * is a call of ours; when a block of iommufd follows, it has returned. The calls
 * are one inside the other, so that a release is of the lock that was taken last.
 * A lock is named by the function that takes it. What is held is counted
 * in instructions of that task, what is waited for in those of all; a lock that is
 * free is not waited for, even if the scheduler has another task go first. Interrupts
 * of the kernel are left out: stock kernels switch to nobody else in them.
 *
 * Lines: "H" case, task, how ("exclusive", "shared"), taken by, waited, held,
 * calls of pin_user_pages_fast() meanwhile; and for each task "P" case,
 * task, nr of pins, first and end of them; "S" case, changes of task
 * between one pin and the next, instructions of all.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_TASKS	64
#define DEPTH		16
#define END		UINT32_MAX

struct symbol {
	uint64_t address;
	char *name;
	bool ours;
};

static struct symbol *symbols;
static size_t nr_symbols;

enum what { OTHER, OURS, TAKE_EXCLUSIVE, TAKE_SHARED, RELEASE, PIN, SLOW,
	INTERRUPT, RETURN };

struct block {
	uint64_t nr_insns;
	const struct symbol *symbol;
	enum what what;
};

static struct block *blocks;
static size_t nr_blocks;

struct held {
	const char *by;
	bool exclusive, slow;
	uint64_t asked, got, insns;	/* got, insns: 0 and then of this processor */
	unsigned int pins;
};

struct task {
	uint32_t stack;
	const char *in;			/* our function that was last here */
	enum what calling;		/* from there, and it has not returned */
	bool is_ours;			/* the block before this was ours */
	uint64_t insns;
	struct held held[DEPTH];
	unsigned int depth;
	uint64_t first_pin, last_pin;
	unsigned int nr_pins;
};

static bool was_kernel;			/* the block before this */
static unsigned int interrupts;		/* of the kernel, one in the other */

static void fail(const char *what)
{
	fprintf(stderr, "holds: %s\n", what);
	exit(1);
}

static enum what meaning(const char *name)
{
	static const struct {
		const char *name;
		enum what what;
	} names[] = {
		{ "mutex_lock", TAKE_EXCLUSIVE },
		{ "mutex_lock_killable", TAKE_EXCLUSIVE },
		{ "mutex_lock_interruptible", TAKE_EXCLUSIVE },
		{ "down_write", TAKE_EXCLUSIVE },
		{ "down_write_killable", TAKE_EXCLUSIVE },
		{ "down_read", TAKE_SHARED },
		{ "down_read_killable", TAKE_SHARED },
		{ "down_read_interruptible", TAKE_SHARED },
		{ "mutex_unlock", RELEASE },
		{ "up_write", RELEASE },
		{ "up_read", RELEASE },
		{ "pin_user_pages_fast", PIN },
		{ "pin_user_pages", PIN },
		{ "pin_user_pages_remote", PIN },
		{ "pin_user_pages_unlocked", PIN },
		{ "asm_common_interrupt", INTERRUPT },
		{ "native_irq_return_iret", RETURN },
	};
	size_t i;

	if (!strncmp(name, "asm_sysvec_", 11))
		return INTERRUPT;
	/* __mutex_lock.constprop.0, rwsem_down_read_slowpath ... */
	if (!strncmp(name, "__mutex_lock", 12) || !strncmp(name, "rwsem_down_", 11))
		return SLOW;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].name, name))
			return names[i].what;
	return OTHER;
}

static const struct symbol *symbol_at(uint64_t address)
{
	size_t low = 0, high = nr_symbols, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (symbols[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	return nr_symbols && symbols[low].address <= address ? &symbols[low] : NULL;
}

/* Symbols, and the names of the cases. */
static char **read_pass(const char *path, size_t *nr_cases)
{
	char line[512], name[256], module[64];
	char **cases = NULL;
	uint64_t address;
	FILE *f = fopen(path, "r");

	if (!f)
		fail("no output of the guest");
	*nr_cases = 0;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "L\t", 2)) {
			cases = realloc(cases, (*nr_cases + 1) * sizeof(*cases));
			cases[*nr_cases] = strdup(line + 2);
			*strchr(cases[(*nr_cases)++], '\t') = ' ';
		}
		module[0] = '\0';
		if (sscanf(line, "K\t%lx\t%255s\t%63s", &address, name, module) < 2)
			continue;
		if (!(nr_symbols & (nr_symbols - 1)))
			symbols = realloc(symbols, (nr_symbols ? 2 * nr_symbols : 1) *
					  sizeof(*symbols));
		symbols[nr_symbols].address = address;
		symbols[nr_symbols].name = strdup(name);
		symbols[nr_symbols++].ours = !strcmp(module, "[iommufd]");
	}
	fclose(f);
	return cases;
}

static void read_blocks(const char *trace)
{
	uint64_t entry[2];
	char path[4096];
	size_t room = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s.blocks", trace);
	f = fopen(path, "r");
	if (!f)
		fail("no blocks");
	while (fread(entry, sizeof(entry), 1, f) == 1) {
		struct block *block;

		if (nr_blocks == room) {
			room = room ? 2 * room : 65536;
			blocks = realloc(blocks, room * sizeof(*blocks));
			if (!blocks)
				fail("memory");
		}
		block = &blocks[nr_blocks++];
		block->nr_insns = entry[1];
		/* user addresses are below all symbols */
		block->symbol = entry[0] >> 63 ? symbol_at(entry[0]) : NULL;
		block->what = OTHER;
		if (!block->symbol)
			continue;
		if (block->symbol->ours)
			block->what = OURS;
		else if (block->symbol->address == entry[0])
			block->what = meaning(block->symbol->name);
	}
	fclose(f);
}

static void took(struct task *task, uint64_t total)
{
	struct held *held = &task->held[task->depth++];

	held->got = total;
	held->insns = task->insns;
	held->pins = 0;
	if (task->depth == DEPTH)
		fail("locks that nobody releases");
}

static void released(const char *name, unsigned int nr, struct task *task)
{
	struct held *held;

	if (!task->depth)
		return;		/* taken before the mark */
	held = &task->held[--task->depth];
	printf("H\t%s\t%u\t%s\t%s\t%lu\t%lu\t%u\n", name, nr,
	       held->exclusive ? "exclusive" : "shared", held->by,
	       held->slow ? held->got - held->asked : 0, task->insns - held->insns, held->pins);
}

static void step(const char *name, unsigned int nr, struct task *task, const struct block *block,
		 uint64_t total, int *last_pin, unsigned int *changes)
{
	unsigned int i;

	if (block->what == INTERRUPT && was_kernel)
		interrupts++;
	was_kernel = block->symbol;
	if (interrupts) {
		interrupts -= block->what == RETURN;
		return;
	}
	if (block->what == OURS) {
		if (task->calling == TAKE_EXCLUSIVE || task->calling == TAKE_SHARED)
			took(task, total);
		if (task->calling == PIN)
			task->last_pin = total;
		task->calling = OTHER;
		task->in = block->symbol->name;
	} else if (task->is_ours) {
		switch (block->what) {
		case TAKE_EXCLUSIVE:
		case TAKE_SHARED:
			task->held[task->depth].by = task->in;
			task->held[task->depth].exclusive = block->what == TAKE_EXCLUSIVE;
			task->held[task->depth].asked = total;
			task->held[task->depth].slow = false;
			break;
		case RELEASE:
			released(name, nr, task);
			break;
		case PIN:
			if (!task->nr_pins++)
				task->first_pin = total;
			for (i = 0; i < task->depth; i++)
				task->held[i].pins++;
			*changes += *last_pin >= 0 && *last_pin != (int)nr;
			*last_pin = nr;
			break;
		default:
			break;
		}
		task->calling = block->what;
	}
	if (block->what == SLOW && (task->calling == TAKE_EXCLUSIVE || task->calling == TAKE_SHARED))
		task->held[task->depth].slow = true;
	task->is_ours = block->what == OURS;
	task->insns += block->nr_insns;
}

static struct task *task_on(struct task *tasks, uint32_t stack)
{
	unsigned int i;

	for (i = 0; i < NR_TASKS && tasks[i].stack; i++)
		if (tasks[i].stack == stack)
			return &tasks[i];
	if (i == NR_TASKS)
		fail("too many tasks");
	tasks[i].stack = stack;
	return &tasks[i];
}

int main(int argc, char **argv)
{
	static struct task tasks[NR_TASKS];
	struct task *task = task_on(tasks, 1);
	size_t nr_cases, nr = 0;
	unsigned int changes = 0, i;
	uint64_t total = 0;
	int last_pin = -1;
	char **cases;
	uint32_t word;
	FILE *f;

	if (argc != 3)
		fail("usage: holds TRACE PASS");
	cases = read_pass(argv[2], &nr_cases);
	read_blocks(argv[1]);
	f = fopen(argv[1], "r");
	if (!f)
		fail("no trace");
	while (fread(&word, sizeof(word), 1, f) == 1) {
		if (nr == nr_cases)
			fail("more between marks than cases");
		if (word == END) {
			for (i = 0; i < NR_TASKS; i++)
				if (tasks[i].nr_pins)
					printf("P\t%s\t%u\t%u\t%lu\t%lu\n", cases[nr], i,
					       tasks[i].nr_pins, tasks[i].first_pin,
					       tasks[i].last_pin);
			printf("S\t%s\t%u\t%lu\n", cases[nr++], changes, total);
			memset(tasks, 0, sizeof(tasks));
			task = task_on(tasks, 1);
			last_pin = -1;
			changes = 0;
			total = 0;
			continue;
		}
		if (word & 1) {
			task = task_on(tasks, word >> 1);
			continue;
		}
		if (word >> 1 >= nr_blocks)
			fail("a block without a number");
		step(cases[nr], task - tasks, task, &blocks[word >> 1], total, &last_pin, &changes);
		total += blocks[word >> 1].nr_insns;
	}
	if (nr != nr_cases)
		fail("fewer between marks than cases");
	return 0;
}
