// SPDX-License-Identifier: GPL-2.0
/*
 * Programs: as text, by chance, and changed.
 *
 * The text of a program is a line for each call; an empty line ends it:
 *
 *	<thread>[b][~<n>][/<n>] <call> [<byte>...]	[# what the bytes mean]
 *
 * "b": with the second one of its files. "~n": aimed at what is there, the n-th
 * last range that was mapped. "/n": its n-th allocation or user copy fails, where
 * the kernel can do that. Bytes left out are 0.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed;
}

unsigned int below(unsigned int n)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return (z ^ (z >> 31)) % n;
}

/* ---- by chance ---- */

/*
 * Where there is no KCOV, many calls are what finds something: those that take as
 * long as a hundred others are drawn a quarter as often.
 */
static unsigned int draw_kind(void)
{
	static unsigned char wheel[8192];
	static unsigned int nr;
	static bool ready;
	unsigned int i, n;

	for (i = 0; !ready && i < nr_kinds(); i++) {
		n = kind_weight(i) * (shared->kcov || kind_is_slow(i) ? 1 : 4);
		while (n-- && nr < sizeof(wheel) / sizeof(wheel[0]))
			wheel[nr++] = i;
	}
	ready = true;
	return wheel[below(nr)];
}

static unsigned char draw_arg(void)
{
	switch (below(8)) {
	case 0:
		return below(256);
	case 1:
	case 2:
		return below(64);
	default:
		return below(8);
	}
}

/* A quarter is not aimed at anything. The newest ranges are the likeliest. */
static unsigned char draw_aim(void)
{
	return below(4) ? 1 + below(below(2) ? 4 : 48) : 0;
}

/* threads: 1 for programs that are the same each time */
static void call_random(struct call *call, bool faults, unsigned int threads)
{
	unsigned int i;

	memset(call, 0, sizeof(*call));
	call->what = draw_kind();
	call->thread = below(threads);
	call->second = !below(8);
	if (faults && !below(4))
		call->fault = 1 + below(below(4) ? 12 : 60);
	if (kind_is_ioctl(call->what))
		call->aim = draw_aim();
	for (i = 0; i < NR_ARGS; i++)
		call->args[i] = draw_arg();
	/* The last three values of the last one make the structure wrong. */
	if (call->args[NR_ARGS - 1] >= 0xfd && below(4))
		call->args[NR_ARGS - 1] = 0;
	call_trim(call);
}

/*
 * Chains that chance alone would not find soon: each call needs what those before
 * it gave.
 */
#define NR_STEPS	8

static const struct step {
	const char *name;
	unsigned char args[6];
} beginnings[][NR_STEPS] = {
	{
		{ "open", { 1 } },
		{ "VFIO_DEVICE_BIND_IOMMUFD" },
		{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT" },
		{ "IOMMU_HWPT_ALLOC" },
		{ "IOMMU_GET_HW_INFO", { 0, 16 } },
	}, {
		{ "open", { 1 } },
		{ "VFIO_DEVICE_BIND_IOMMUFD" },
		{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT" },
		{ "FEATURE_DMA_LOGGING_START", { 0, 0, 1, 1 } },
		{ "FEATURE_DMA_LOGGING_REPORT", { 1, 0, 0, 0, 2 } },
		{ "FEATURE_MIG_DEVICE_STATE", { 0, 3 } },
		{ "stream_rw", { 0, 64 } },
		{ "FEATURE_MIG_DEVICE_STATE", { 0, 2 } },
	}, {
		{ "open", { 3 } },
		{ "open", { 5 } },
		{ "VFIO_GROUP_SET_CONTAINER" },
		{ "VFIO_SET_IOMMU", { 3 } },
		{ "VFIO_GROUP_GET_DEVICE_FD" },
		{ "VFIO_IOMMU_GET_INFO" },
		{ "VFIO_IOMMU_MAP_DMA", { 3, 0, 0, 1 } },
		{ "VFIO_DEVICE_GET_INFO" },
	}, {
		{ "kvm_open" },
		{ "open", { 1 } },
		{ "kvm_vfio" },
		{ "VFIO_DEVICE_BIND_IOMMUFD" },
		{ "open", { 3 } },
		{ "kvm_vfio", { 0, 1 } },
		{ "kvm_vfio", { 1 } },
	}, {
		{ "open", { 3 } },
		{ "open", { 6 } },
		{ "VFIO_GROUP_SET_CONTAINER" },
		{ "VFIO_SET_IOMMU", { 1 } },
		{ "VFIO_GROUP_GET_DEVICE_FD" },
		{ "VFIO_IOMMU_MAP_DMA", { 3, 0, 0, 1 } },
		{ "VFIO_IOMMU_UNMAP_DMA", { 0, 0, 1 } },
	}, {
		{ "MOCK_DOMAIN", { 0 } },
		{ "IOMMU_HWPT_ALLOC" },
		{ "IOMMU_IOAS_MAP", { 7, 0, 0, 1 } },
		{ "MOCK_DOMAIN_REPLACE", { 0, 5 } },
		{ "MD_CHECK_MAP", { 0, 0, 1, 0 } },
	}, {
		{ "MOCK_DOMAIN", { 0 } },
		{ "IOMMU_IOAS_MAP_FILE", { 7, 0, 0, 3 } },
		{ "IOMMU_IOAS_ALLOC" },
		{ "IOMMU_IOAS_COPY", { 7, 1, 0, 1 } },
		{ "LOCAL_DEVICE", { 1, 1, 1 } },
		{ "IOMMU_IOAS_CHANGE_PROCESS" },
	}, {
		{ "MOCK_DOMAIN", { 0 } },
		{ "IOMMU_IOAS_MAP", { 7, 0, 0, 1 } },
		{ "IOMMU_IOAS_ALLOC" },
		{ "CREATE_ACCESS", { 0, 1 } },
		{ "ACCESS_PAGES" },
		{ "ACCESS_RW" },
		{ "DESTROY_ACCESS_PAGES" },
		{ "IOMMU_IOAS_UNMAP", { 1, 0, 0 } },
	},
};

#define NR_BEGINNINGS	(sizeof(beginnings) / sizeof(beginnings[0]))

/* More calls behind those that are there */
static void program_extend(struct program *p, unsigned int more, bool faults,
			   unsigned int threads)
{
	while (more-- && p->nr < MAX_CALLS)
		call_random(&p->calls[p->nr++], faults, threads);
}

void program_random(struct program *p, bool faults)
{
	unsigned int which = below(NR_BEGINNINGS * 3 / 2), i;
	/* With KCOV short ones, which leave less to find out which call it was */
	unsigned int more = 8 + below(shared->kcov ? 60 : MAX_CALLS);
	unsigned int threads = below(2) ? 1 : NR_THREADS;

	p->nr = 0;
	for (i = 0; which < NR_BEGINNINGS && i < NR_STEPS &&
		    beginnings[which][i].name; i++) {
		struct call *call = &p->calls[p->nr++];
		int what = kind_find(beginnings[which][i].name);

		if (what < 0) {
			fprintf(stderr, "no call %s\n", beginnings[which][i].name);
			exit(2);
		}
		memset(call, 0, sizeof(*call));
		call->what = what;
		memcpy(call->args, beginnings[which][i].args,
		       sizeof(beginnings[which][i].args));
	}
	program_extend(p, more, faults, threads);
}

void program_copy(struct program *to, const struct program *from)
{
	unsigned int nr = __atomic_load_n(&from->nr, __ATOMIC_ACQUIRE);

	memcpy(to->calls, from->calls, nr * sizeof(to->calls[0]));
	__atomic_store_n(&to->nr, nr, __ATOMIC_RELEASE);
}

/* ---- changed ---- */

void program_cut(struct program *p, unsigned int at, unsigned int nr)
{
	if (nr > p->nr - at)
		nr = p->nr - at;
	memmove(&p->calls[at], &p->calls[at + nr],
		(p->nr - at - nr) * sizeof(p->calls[0]));
	p->nr -= nr;
}

static void program_insert(struct program *p, unsigned int at, bool faults,
			   unsigned int threads)
{
	if (p->nr == MAX_CALLS)
		return;
	memmove(&p->calls[at + 1], &p->calls[at],
		(p->nr - at) * sizeof(p->calls[0]));
	call_random(&p->calls[at], faults, threads);
	p->nr++;
}

/* The end of another one, or all of it, behind what is left of this one */
static void program_splice(struct program *p)
{
	unsigned int nr = __atomic_load_n(&shared->nr_corpus, __ATOMIC_ACQUIRE), at;
	const struct program *other;

	if (!nr)
		return;
	other = &shared->corpus[below(nr)];
	at = below(2) ? 0 : below(other->nr + 1);
	while (p->nr < MAX_CALLS && at < other->nr)
		p->calls[p->nr++] = other->calls[at++];
}

void program_change(struct program *p, bool faults)
{
	unsigned int n = 1 + below(below(2) ? 3 : 16), at;
	unsigned int threads = below(3) ? 1 : NR_THREADS;
	struct call *call;

	while (n--) {
		at = p->nr ? below(p->nr) : 0;
		call = &p->calls[at];
		switch (below(16)) {
		case 0:
		case 1:
		case 2:
		case 3:
			program_insert(p, below(p->nr + 1), faults, threads);
			break;
		case 4:
		case 5:
			program_insert(p, p->nr, faults, threads);
			break;
		case 6:
			if (p->nr > 1)
				program_cut(p, at, 1 + below(3));
			break;
		case 7:
		case 8:
			program_splice(p);
			break;
		case 9:
			if (p->nr && p->nr < MAX_CALLS)	/* the same again */
				p->calls[p->nr++] = *call;
			break;
		case 10:
			if (p->nr && kind_is_ioctl(call->what) && below(2))
				call->aim = draw_aim();
			else if (p->nr)
				call->thread = below(threads);
			break;
		case 11:
			if (p->nr && faults)
				call->fault = below(24);
			else if (p->nr)
				call->second ^= 1;
			break;
		default:
			if (!p->nr)
				break;
			call->args[below(NR_ARGS)] = draw_arg();
			call_trim(call);
			break;
		}
	}
	/* What it has opened and made is used for longer than it took to make. */
	if (!shared->kcov)
		program_extend(p, below(MAX_CALLS), faults, threads);
}

/* ---- as text ---- */

void program_write(FILE *f, const char *prefix, const struct program *p)
{
	unsigned int i, j, nr;

	for (i = 0; i < p->nr; i++) {
		const struct call *c = &p->calls[i];

		fprintf(f, "%s%u%s", prefix, c->thread, c->second ? "b" : "");
		if (c->aim)
			fprintf(f, "~%u", c->aim);
		if (c->fault)
			fprintf(f, "/%u", c->fault);
		fprintf(f, " %s", kind_name(c->what));
		for (nr = NR_ARGS; nr && !c->args[nr - 1]; nr--)
			;
		for (j = 0; j < nr; j++)
			fprintf(f, " %u", c->args[j]);
		if (kind_is_ioctl(c->what) && !c->aim) {
			fprintf(f, "\t#");
			call_explain(f, c);
		}
		fprintf(f, "\n");
	}
	fprintf(f, "%s\n", prefix);
}

static bool call_parse(char *line, struct call *call)
{
	char *word = strtok(line, " \t\n"), *end;
	unsigned int i;
	int what;

	memset(call, 0, sizeof(*call));
	call->thread = strtoul(word, &end, 10);
	if (end == word || call->thread >= NR_THREADS)
		return false;
	if (*end == 'b') {
		call->second = 1;
		end++;
	}
	if (*end == '~')
		call->aim = strtoul(end + 1, &end, 10);
	if (*end == '/')
		call->fault = strtoul(end + 1, &end, 10);
	word = strtok(NULL, " \t\n");
	if (*end || !word)
		return false;
	what = kind_find(word);
	if (what < 0)
		return false;
	call->what = what;
	for (i = 0; (word = strtok(NULL, " \t\n")); i++) {
		if (i == NR_ARGS)
			return false;
		call->args[i] = strtoul(word, &end, 10);
		if (*end)
			return false;
	}
	return true;
}

bool program_read(FILE *f, const char *path, struct program *p)
{
	char line[512], copy[512];

	memset(p, 0, sizeof(*p));
	while (fgets(line, sizeof(line), f)) {
		bool comment = line[0] == '#';

		line[strcspn(line, "#\n")] = '\0';
		if (!line[strspn(line, " \t")]) {
			if (p->nr && !comment)
				return true;
			continue;
		}
		strcpy(copy, line);
		if (p->nr == MAX_CALLS || !call_parse(line, &p->calls[p->nr++])) {
			fprintf(stderr, "%s: not a call: %s\n", path, copy);
			exit(2);
		}
	}
	return p->nr;
}

unsigned int programs_load(const char *path, struct program *to, unsigned int room)
{
	FILE *f = fopen(path, "r");
	unsigned int nr = 0;

	if (!f) {
		perror(path);
		exit(2);
	}
	while (nr < room && program_read(f, path, &to[nr]))
		nr++;
	fclose(f);
	return nr;
}
