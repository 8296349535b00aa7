// SPDX-License-Identifier: GPL-2.0
/*
 * No DMA reaches a page that the model does not allow: random sequences of all
 * that changes what a device reaches, and a model that says after each step
 * what is to be found at every IOVA.
 *
 *	dma_oracle edu|mock [edu...]
 *
 * "edu" is a real device with a real page table: it reads and writes 16 bytes at
 * IOVAs in, at the edges of and outside the mappings, and all memory is compared
 * with what the model says it holds. "mock" looks the same IOVAs up in the page
 * tables of fake devices (needs test modules). Best with a device of which time
 * is skipped: tests/vm/run --icount.
 *
 * The model. A page is a page of memory, wherever it is seen: it has the content
 * that it should have (a copy), and an address where the CPU sees it, or none
 * once that was unmapped, discarded or cut out of the file. The arena is a row of
 * slots, each a page of address space: empty, private memory, or a page of the
 * file. A span is what was given to one MAP or MAP_FILE: of each of its pages it
 * knows how many areas that are in some page table need it, and, from the first
 * of them until the last, which page was there. An area is a piece of a span at
 * an IOVA of an IOAS; a table shows all areas of its IOAS.
 *
 * Step i of sequence s depends on s, i and the model alone, so that a sequence
 * that fails can be repeated, and shortened: ORACLE_SEED=s ORACLE_STEPS=n; steps
 * are then left out one after the other as long as it still fails.
 *
 *	ORACLE_SEQUENCES  how many (300)
 *	ORACLE_SEED	  the first one's number (1)
 *	ORACLE_STEPS	  at most so many steps in each (48)
 *	ORACLE_VERBOSE	  tell all steps
 *	ORACLE_STOP	  end at the first that fails, and do not shorten it
 */
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include "oracle.h"

struct device devices[MAX_DEVICES];
unsigned int nr_devices, step;
int iommufd = -1, file = -1;
bool mock, use_big, amd;
unsigned char *arena, *big, *stage_page, *file_view;
long pins_before;
char why[512];
struct total total;

/* What is told of the attaches before the first step goes behind all steps. */
#define SETUP	(MAX_STEPS - 2 - MAX_DEVICES)

static bool verbose, skipped[MAX_STEPS];
static char told[MAX_STEPS][160];

/* ---- what went wrong ---- */

void must(const char *what, bool ok)
{
	if (ok)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((format(printf, 1, 2)))
void wrong(const char *format, ...)
{
	va_list args;

	if (why[0])
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
}

__attribute__((format(printf, 1, 2)))
void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(told[step], sizeof(told[step]), format, args);
	va_end(args);
}

void expect(struct expected *e, bool condition, int error)
{
	if (condition)
		e->errors[e->nr++] = error;
}

/* The model does not know how full it is where the kernel chooses an IOVA. */
bool full(bool fixed, int rc)
{
	if (fixed || rc != -ENOSPC)
		return false;
	total.refused++;
	return true;
}

/* True when it succeeded as it should have. */
bool judge(const struct expected *e, int rc)
{
	char *end = told[step] + strlen(told[step]);
	unsigned int i;

	snprintf(end, told[step] + sizeof(told[step]) - end, " = %d", rc);
	if (rc >= 0) {
		total.ok++;
		if (!e->nr)
			return true;
		wrong("succeeded, the model says %s", strerror(e->errors[0]));
		return false;
	}
	total.refused++;
	for (i = 0; i < e->nr; i++)
		if (rc == -e->errors[i])
			return false;
	wrong("%s, the model says %s", strerror(-rc),
	      e->nr ? strerror(e->errors[0]) : "success");
	return false;
}

/* ---- sequences ---- */

static const struct {
	unsigned int weight;
	void (*run)(void);
} kinds[] = {
	{ 9, step_map }, { 4, step_map_file }, { 7, step_unmap },
	{ 7, step_copy }, { 2, step_ioas }, { 2, step_hwpt },
	{ 2, step_hwpt_destroy }, { 6, step_attach }, { 3, step_detach },
	{ 2, step_munmap }, { 2, step_mmap }, { 2, step_mmap_file },
	{ 2, step_mremap }, { 2, step_discard }, { 1, step_punch },
	{ 3, step_write }, { 1, step_fork }, { 1, step_churn },
};

static void context_open(void)
{
	unsigned int i;

	iommufd = iommufd_open();
	must("/dev/iommu", iommufd >= 0);
	for (i = 0; i < nr_devices; i++) {
		struct device *device = &devices[i];

		device->nr = i;
		device->table = NONE;
		device->id = 0;
		device->unit = 0;
		device->stale = false;
		if (mock) {
			device->unit = i ? MOCK_UNIT_LARGE : MOCK_UNIT_ABI;
			continue;
		}
		device->fd = edu_open_nth(i);
		must("edu", device->fd >= 0);
		must("bind", !vfio_bind(device->fd, iommufd, &device->id));
		must("registers", !edu_init(&device->edu, device->fd));
	}
}

static void context_close(void)
{
	unsigned int i;

	for (i = 0; !mock && i < nr_devices; i++) {
		edu_uninit(&devices[i].edu);
		close(devices[i].fd);
	}
	close(iommufd);
	iommufd = -1;
}

/* Let the model forget everything, and the context too unless it is closed. */
static void sequence_end(bool closes)
{
	unsigned int i;

	step = MAX_STEPS - 1;
	if (closes)
		context_close();
	for (i = 0; i < nr_devices; i++) {
		if (!closes)
			device_detach(&devices[i]);
		devices[i].table = NONE;
	}
	for (i = 0; i < MAX_TABLES; i++) {
		if (tables[i].used && !closes &&
		    iommufd_destroy(iommufd, tables[i].id))
			wrong("hwpt %u cannot be destroyed", tables[i].id);
		tables[i].used = false;
	}
	for (i = 0; i < MAX_IOAS; i++) {
		if (ioases[i].used && !closes &&
		    iommufd_destroy(iommufd, ioases[i].id))
			wrong("ioas %u cannot be destroyed", ioases[i].id);
		while (ioases[i].nr) {
			ioases[i].tables = 0;
			area_remove(&ioases[i], ioases[i].nr - 1);
		}
		ioases[i].used = false;
	}
	child_end();
	if (pinned_now() != pins_before)
		wrong("%ld pages are left pinned", pinned_now() - pins_before);
}

static bool sequence_run(unsigned long seed, unsigned int steps)
{
	unsigned int i, n, choice, sum = 0;
	bool closes;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += kinds[i].weight;
	why[0] = '\0';
	memset(told, 0, sizeof(told));
	memset(gone, 0, sizeof(gone));
	nr_gone = 0;
	rng = seed * 0x10001;
	pins_before = pinned_now();
	if (iommufd < 0)
		context_open();
	memory_begin();
	closes = !below(16);
	n = 12 + below(37);
	n = n < steps ? n : steps;
	for (i = 0; i < 2; i++) {
		step = MAX_STEPS - 1;
		ioas_begin(&ioases[i]);
	}
	for (i = 0; i < nr_devices && !why[0]; i++) {
		step = SETUP + i;
		if (below(4))
			device_attach(&devices[i]);
		if (verbose && told[step][0])
			printf("# %lu before %s\n", seed, told[step]);
	}
	for (step = 0; step < n && !why[0]; step++) {
		rng = seed * 0x10001 + 0x1000003UL * (step + 1);
		choice = below(sum);
		if (skipped[step])
			continue;
		for (i = 0; choice >= kinds[i].weight; i++)
			choice -= kinds[i].weight;
		kinds[i].run();
		total.steps++;
		if (verbose)
			printf("# %lu.%u %s\n", seed, step, told[step]);
		if (!why[0] && (step + 1 == n || !below(3)))
			probe(step + 1 == n);
		if (why[0])
			break;
	}
	n = step;
	total.sequences++;
	sequence_end(closes || why[0]);
	step = n;
	return !why[0];
}

/* Leave out what it fails without. */
static void shorten(unsigned long seed)
{
	unsigned int last = step, i, j;

	if (last >= SETUP)
		last = SETUP - 1;
	memset(skipped, 0, sizeof(skipped));
	for (i = 0; i < last; i++) {
		skipped[i] = true;
		if (sequence_run(seed, last + 1))
			skipped[i] = false;
	}
	sequence_run(seed, last + 1);
	for (j = SETUP; j < SETUP + MAX_DEVICES; j++)
		if (told[j][0])
			printf("#   before: %s\n", told[j]);
	for (j = 0; j <= last; j++)
		if (!skipped[j] && told[j][0])
			printf("#   %s\n", told[j]);
	printf("#   then: %s\n", why[0] ? why : "not again");
	memset(skipped, 0, sizeof(skipped));
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* Sequences that are a test. */
#define PART	50U

int main(int argc, char **argv)
{
	unsigned long seed = setting("ORACLE_SEED", 1), s, first;
	unsigned long nr = setting("ORACLE_SEQUENCES", 300);
	unsigned int steps = setting("ORACLE_STEPS", 48), failed = 0, test = 0;
	time_t start = time(NULL);
	long seconds;

	if (argc < 2 || argc - 1 > MAX_DEVICES)
		return 2;
	if (steps > SETUP)
		steps = SETUP;
	mock = !strcmp(argv[1], "mock");
	nr_devices = argc - 1;
	verbose = !!getenv("ORACLE_VERBOSE");
	amd = access("/sys/class/iommu/dmar0", F_OK) != 0;
	setlinebuf(stdout);
	memory_reserve();
	printf("TAP version 13\n1..%lu\n", (nr + PART - 1) / PART);
	for (first = 0; first < nr; first += PART) {
		unsigned long end = first + PART < nr ? first + PART : nr;

		for (s = first; s < end; s++) {
			if (sequence_run(seed + s, steps))
				continue;
			printf("# sequence %lu, number %lu, step %u, after %lu probes: %s: %s\n",
			       seed + s, s + 1, step,
			       total.allowed + total.blocked, told[step], why);
			printf("# again: ORACLE_SEED=%lu ORACLE_SEQUENCES=1 ORACLE_STEPS=%u\n",
			       seed + s, step + 1);
			if (!getenv("ORACLE_STOP"))
				shorten(seed + s);
			failed++;
			break;
		}
		printf("%sok %u %s with %u devices: sequences %lu to %lu\n",
		       s < end ? "not " : "", ++test, argv[1], nr_devices,
		       seed + first, seed + end - 1);
		if (failed == 1 && getenv("ORACLE_STOP"))
			break;
	}
	if (iommufd >= 0)
		context_close();
	seconds = time(NULL) - start ?: 1;
	printf("# %lu sequences, %lu steps, %lu calls succeeded and %lu were refused, %lu probes reached a page, %lu were to reach none, %lu pages compared, %ld s, %lu sequences a minute\n",
	       total.sequences, total.steps, total.ok, total.refused,
	       total.allowed, total.blocked, total.compared, seconds,
	       total.sequences * 60 / seconds);
	return failed != 0;
}
