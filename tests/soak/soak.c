// SPDX-License-Identifier: GPL-2.0
/*
 * Kill and churn: whether everything comes back however users die and devices go.
 *
 *	TIME=seconds SEED=number soak
 *
 * runs in the virtual machine that tests/soak/machine describes. There is a slot for
 * each device. A client (clients.c) uses it, verifying what the device moves, until it is
 * killed after a random time, and the next one comes at once. Other processes (churn.c)
 * unplug devices and plug them in, make VFs and remove them, replace mediated
 * devices, reset functions, split huge pages, take memory. At the end what counters.c
 * counts must be as it was after a warm-up.
 *
 * Every decision is drawn from SEED, which is printed. Which of them meet is for the
 * scheduler to say, so a run can be repeated only so far.
 *
 * A slot's client is killed: a third of them within a tenth of the time that its kind
 * gets, so that opening and closing are met as well, the others within all of it.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "soak.h"

#define WARM_UP_MS	15000

struct shared *shared;

const char *const kind_names[NR_KINDS] = {
	[EDU] = "edu", [EDU_PLUGGED] = "edu-hotplug", [NVME] = "nvme",
	[NVME_PLUGGED] = "nvme-hotplug", [VF] = "vf", [PAIR] = "hot-reset",
	[VCOPY] = "vcopy",
};

/* What a client of a kind lives for at most, ms. */
static const unsigned int lives[NR_KINDS] = {
	[EDU] = 1000, [EDU_PLUGGED] = 5000, [NVME] = 3000, [NVME_PLUGGED] = 4000,
	[VF] = 2500, [PAIR] = 8000, [VCOPY] = 400,
};

static const char *const churn_names[NR_CHURN] = {
	[UNPLUGS] = "devices unplugged", [PLUGS] = "devices plugged in",
	[VFS_MADE] = "VFs made", [VFS_REMOVED] = "VFs removed",
	[MDEVS_REMOVED] = "mdevs removed and made",
	[FUNCTION_RESETS] = "functions reset under a user",
	[THP_SPLITS] = "huge pages split", [THP_COLLAPSES] = "ranges collapsed",
	[HUGETLB] = "hugetlb pool resized", [COMPACTIONS] = "compactions",
	[HOGS] = "times memory was taken",
};

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* A failure, from any process. */
void report(const char *fmt, ...)
{
	int nr = atomic_fetch_add(&shared->nr_failures, 1);
	va_list args;

	if (nr >= MAX_FAILURES)
		return;
	va_start(args, fmt);
	vsnprintf(shared->failures[nr], sizeof(shared->failures[nr]), fmt, args);
	va_end(args);
}

/* ---- devices ---- */

static struct slot *add_slot(enum kind kind)
{
	struct slot *slot = &shared->slots[shared->nr_slots++];

	slot->kind = kind;
	return slot;
}

/* The function @function behind the root port at slot @port of the root bus. */
static int behind(const char *port, int function, char bdf[static 16])
{
	char path[64];
	struct dirent *entry;
	int rc = -ENODEV;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:00:%s.0", port);
	dir = opendir(path);
	while (dir && rc && (entry = readdir(dir)))
		if (strlen(entry->d_name) == 12 && entry->d_name[4] == ':' &&
		    entry->d_name[11] == '0' + function) {
			snprintf(bdf, 16, "%.15s", entry->d_name);
			rc = 0;
		}
	if (dir)
		closedir(dir);
	return rc;
}

/* As tests/soak/machine puts them. */
static int find_slots(void)
{
	struct slot *slot;
	int i, rc = 0;

	for (i = 0; i < 4; i++) {
		slot = add_slot(EDU);
		snprintf(slot->name, sizeof(slot->name), "0000:00:%02x.0", 0x10 + i);
	}
	rc = rc ?: behind("14", 0, add_slot(EDU_PLUGGED)->name);
	rc = rc ?: behind("15", 0, add_slot(EDU_PLUGGED)->name);
	rc = rc ?: behind("16", 0, add_slot(NVME)->name);
	rc = rc ?: behind("17", 0, add_slot(NVME_PLUGGED)->name);
	rc = rc ?: behind("18", 0, shared->pf);
	for (i = 0; i < 2; i++)
		add_slot(VF)->number = i;
	slot = add_slot(PAIR);
	rc = rc ?: behind("19", 0, slot->name);
	rc = rc ?: behind("19", 1, slot->other);
	for (i = 0; i < 6; i++) {
		slot = add_slot(VCOPY);
		slot->type = i % 2 ? "rw" : "pin";
		rc = rc ?: vcopy_create(slot->type, slot->name);
	}
	return rc;
}

static void bind_all(void)
{
	int i;

	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind != VCOPY && shared->slots[i].name[0])
			pci_bind_vfio(shared->slots[i].name);
	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind == PAIR)
			pci_bind_vfio(shared->slots[i].other);
	pci_bind_vfio(shared->pf);
}

/* ---- clients ---- */

/* A process that ends with us. */
pid_t start(void (*fn)(struct chance *chance, int arg), uint64_t seed, int arg)
{
	struct chance chance = { seed };
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(&chance, arg);
		_exit(0);
	}
	return pid;
}

static void run_client(struct chance *chance, int nr)
{
	client(&shared->slots[nr], chance);
	_exit(0);
}

static void next_client(struct slot *slot, uint64_t seed)
{
	unsigned int life = lives[slot->kind] * shared->patience;
	int nr = slot - shared->slots;

	slot->serial++;
	slot->pid = start(run_client, seed ^ (uint64_t)nr << 56 ^
			  (uint64_t)slot->serial << 24, nr);
	if (slot->pid < 0) {
		report("fork: %s", strerror(errno));
		shared->stop = 1;
	}
	slot->dead = false;
	if (percent(&slot->chance, 33))
		life /= 10;
	slot->when = now_ms() + 1 + below(&slot->chance, life);
}

/* Go on with one slot. @last: no more clients after this one */
static void tend(struct slot *slot, uint64_t seed, bool last)
{
	uint64_t now = now_ms();
	int status;

	if (slot->pid <= 0) {
		/* One that found nothing to do is not followed at once. */
		if (!last && now >= slot->when && !slot->held)
			next_client(slot, seed);
		return;
	}
	if (waitpid(slot->pid, &status, WNOHANG) == slot->pid) {
		if (slot->dead && now - slot->when > slot->longest_ms)
			slot->longest_ms = now - slot->when;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			atomic_fetch_add(&slot->kills, 1);
			slot->when = now;
		} else {
			if (!WIFEXITED(status))
				report("%s %s: client %u: signal %d",
				       kind_names[slot->kind], slot->name,
				       slot->serial, WTERMSIG(status));
			slot->when = now + 50;
		}
		slot->pid = 0;
		return;
	}
	if (slot->dead) {
		if (now - slot->when > 120000 * shared->patience && !shared->stop) {
			report("%s %s: client %u does not die", kind_names[slot->kind],
			       slot->name, slot->serial);
			shared->stop = 1;
		}
		return;
	}
	if ((now >= slot->when && !slot->held) || last) {
		kill(slot->pid, SIGKILL);
		slot->dead = true;
		slot->when = now;
	}
}

static bool churn_alive(pid_t *pids, int nr)
{
	bool alive = false;
	int i, status;

	for (i = 0; i < nr; i++) {
		if (pids[i] > 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			pids[i] = 0;
			if (status)
				report("churn %d ended: status 0x%x", i, status);
		}
		alive = alive || pids[i] > 0;
	}
	return alive;
}

/* Clients and churn for some time, and then quiet. */
static void phase(uint64_t seed, uint64_t ms)
{
	uint64_t begin = now_ms(), said = begin;
	int i, nr = 0, left;
	pid_t pids[16];

	shared->stop = 0;
	for (i = 0; i < shared->nr_slots; i++) {
		shared->slots[i].chance.state = seed + i;
		shared->slots[i].when = 0;
	}
	pids[nr++] = start(hotplug, seed ^ 1, 0);
	pids[nr++] = start(sriov, seed ^ 2, 0);
	pids[nr++] = start(huge_pages, seed ^ 3, 0);
	pids[nr++] = start(pressure, seed ^ 4, 0);
	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind == NVME)
			pids[nr++] = start(resets, seed ^ 5, i);
	/* (Two of the vcopies: the last.) */
	for (i = shared->nr_slots - 2; i < shared->nr_slots; i++)
		pids[nr++] = start(mdevs, seed ^ i << 8, i);

	do {
		for (i = 0; i < shared->nr_slots; i++)
			tend(&shared->slots[i], seed, false);
		if (now_ms() - begin >= ms || shared->nr_failures)
			shared->stop = 1;
		if (now_ms() - said > 60000) {
			unsigned int kills = 0;

			said = now_ms();
			for (i = 0; i < shared->nr_slots; i++)
				kills += shared->slots[i].kills;
			printf("# %u s: %u kills\n",
			       (unsigned int)((said - begin) / 1000), kills);
		}
		usleep(2000);
		/* Churn may need clients to be killed before it can end. */
	} while (churn_alive(pids, nr) || !shared->stop);
	do {
		left = 0;
		for (i = 0; i < shared->nr_slots; i++) {
			tend(&shared->slots[i], seed, true);
			left += shared->slots[i].pid > 0;
		}
		usleep(2000);
	} while (left);
}

/* ---- results ---- */

static int planned, seen;

static void result(bool good, const char *name)
{
	printf("%s %d %s\n", good ? "ok" : "not ok", ++seen, name);
}

static void table(uint64_t ms)
{
	unsigned int kind, i, kills = 0, longest = 0;

	printf("# %-14s %8s %8s %8s %8s %8s %8s %8s %10s\n", "kind", "kills", "opens",
	       "I/O", "replaced", "resets", "gone", "no mem", "longest ms");
	for (kind = 0; kind < NR_KINDS; kind++) {
		unsigned int sum[7] = {}, max = 0;

		for (i = 0; i < shared->nr_slots; i++) {
			struct slot *slot = &shared->slots[i];

			if (slot->kind != kind)
				continue;
			sum[0] += slot->kills;
			sum[1] += slot->opens;
			sum[2] += slot->ios;
			sum[3] += slot->replaces;
			sum[4] += slot->resets;
			sum[5] += slot->gone;
			sum[6] += slot->without_memory;
			if (slot->longest_ms > max)
				max = slot->longest_ms;
		}
		printf("# %-14s", kind_names[kind]);
		for (i = 0; i < 7; i++)
			printf(" %8u", sum[i]);
		printf(" %10u\n", max);
		kills += sum[0];
		if (max > longest)
			longest = max;
	}
	for (i = 0; i < NR_CHURN; i++)
		printf("# %8u %s\n", shared->churn[i], churn_names[i]);
	printf("# %u kills in %u s, the longest death took %u ms\n", kills,
	       (unsigned int)(ms / 1000), longest);
}

static bool all_kinds_worked(void)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i < shared->nr_slots; i++) {
		struct slot *slot = &shared->slots[i];

		if (!slot->kills || !slot->opens ||
		    (!slot->ios && slot->kind != PAIR)) {
			printf("# slot %u, %s: %u kills, %u opens, %u I/O\n", i,
			       kind_names[slot->kind], slot->kills, slot->opens, slot->ios);
			good = false;
		}
	}
	return good;
}

static bool all_churn_worked(void)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i < NR_CHURN; i++)
		if (!shared->churn[i]) {
			printf("# never: %s\n", churn_names[i]);
			good = false;
		}
	return good;
}

static void forget(void)
{
	int i;

	for (i = 0; i < shared->nr_slots; i++) {
		struct slot *slot = &shared->slots[i];

		slot->ios = slot->replaces = slot->resets = slot->opens = 0;
		slot->gone = slot->without_memory = slot->kills = 0;
		slot->longest_ms = 0;
	}
	for (i = 0; i < NR_CHURN; i++)
		shared->churn[i] = 0;
}

static bool devices_are_free(void)
{
	struct slot *slot;
	bool good = true;
	int i, rc;
	enum way way;

	for (i = 0; i < shared->nr_slots; i++) {
		slot = &shared->slots[i];
		for (way = 0; way < NR_WAYS && slot->kind != VF; way++) {
			rc = slot_usable(slot, way);
			if (rc) {
				printf("# %s %s by way %d: %s\n", kind_names[slot->kind],
				       slot->name, way, strerror(-rc));
				good = false;
			}
		}
	}
	return good;
}

static bool kernel_gets_nvme(void)
{
	bool good = true;
	int i, rc;

	for (i = 0; i < shared->nr_slots; i++) {
		if (shared->slots[i].kind != NVME && shared->slots[i].kind != NVME_PLUGGED)
			continue;
		rc = kernel_driver_takes(shared->slots[i].name);
		if (rc) {
			printf("# %s: %s\n", shared->slots[i].name, strerror(-rc));
			good = false;
		}
	}
	return good;
}

int main(void)
{
	const char *time_text = getenv("TIME"), *seed_text = getenv("SEED");
	const char *patience = getenv("TEST_PATIENCE");
	uint64_t seed = seed_text && seed_text[0] ? strtoull(seed_text, NULL, 0) :
						    (uint64_t)time(NULL);
	unsigned int seconds = time_text && time_text[0] ? atoi(time_text) : 300;
	static struct counters before, after;
	uint64_t begin;
	bool good;
	int i, rc;

	setlinebuf(stdout);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	/* On the debug kernel clients need longer for anything. */
	shared->patience = patience && atoi(patience) > 1 ? 3 : 1;
	planned = 6;
	printf("TAP version 13\n1..%d\n# SEED=%llu TIME=%u\n", planned,
	       (unsigned long long)seed, seconds);
	chmod("/dev/iommu", 0666);
	chmod("/dev/vfio/vfio", 0666);
	sysfs_write("/sys/module/vfio_pci/parameters/enable_sriov", "1");
	rc = find_slots();
	if (rc) {
		printf("Bail out! the machine is not tests/soak/machine: %s\n",
		       strerror(-rc));
		return 1;
	}
	bind_all();

	phase(~seed, WARM_UP_MS * shared->patience);
	bind_all();
	counters_take(&before);
	forget();
	begin = now_ms();
	phase(seed, seconds * 1000ULL);
	begin = now_ms() - begin;
	bind_all();
	counters_take(&after);
	table(begin);

	good = !shared->nr_failures;
	for (i = 0; i < shared->nr_failures && i < MAX_FAILURES; i++)
		printf("# %s\n", shared->failures[i]);
	result(good, "nobody_saw_wrong_data_or_an_error");
	good = all_kinds_worked();
	good = all_churn_worked() && good;
	result(good, "every_kind_of_client_and_of_churn_was_there");
	result(!counters_compare(&before, &after), "every_counter_is_back");
	rc = user_locks_all_again();
	if (rc)
		printf("# step %d\n", rc);
	result(!rc, "the_user_can_lock_all_that_he_may");
	result(devices_are_free(), "every_device_can_be_had_by_every_way");
	result(kernel_gets_nvme(), "the_kernel's_driver_takes_its_devices");
	/* Nobody is left, and the machine is unloaded. */
	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind == VCOPY)
			vcopy_remove(shared->slots[i].name);
	return 0;
}
