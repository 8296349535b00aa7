// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev info: one function in full. A mediated device is another matter: info-mdev.c.
 *
 * Three sources, each of which may be shut: sysfs (always there), configuration
 * space (root sees all of it), and VFIO (bound to vfio-pci, nobody uses it, and
 * rights on the nodes). To ask VFIO the function is opened, which may reset it,
 * and attached to an empty IOAS for a moment, which is how the kernel tells its
 * IOVA ranges. A function that someone uses is never opened.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "info.h"
#include "options.h"

const char *info_region_name(uint32_t index, char buf[16])
{
	if (index <= VFIO_PCI_BAR5_REGION_INDEX)
		snprintf(buf, 16, "BAR %u", (unsigned int)index & 7);
	else if (index == VFIO_PCI_ROM_REGION_INDEX)
		strcpy(buf, "ROM");
	else if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		strcpy(buf, "config");
	else if (index == VFIO_PCI_VGA_REGION_INDEX)
		strcpy(buf, "VGA");
	else
		snprintf(buf, 16, "%u", (unsigned int)index);
	return buf;
}

const char *info_irq_name(uint32_t index, char buf[16])
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X", "error", "request" };

	if (index < sizeof(names) / sizeof(names[0]))
		strcpy(buf, names[index]);
	else
		snprintf(buf, 16, "%u", (unsigned int)index);
	return buf;
}

const char *info_feature_name(unsigned int feature)
{
	static const char *const names[] = {
		[VFIO_DEVICE_FEATURE_PCI_VF_TOKEN] = "VF token",
		[VFIO_DEVICE_FEATURE_MIGRATION] = "migration",
		[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = "migration state",
		[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = "low power",
		[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = "low power with wakeup",
		[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = "low power exit",
		[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = "DMA logging",
		[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = "DMA logging stop",
		[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = "DMA logging report",
		[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = "migration data size",
	};

	return feature < sizeof(names) / sizeof(names[0]) ? names[feature] : NULL;
}

static void add_gap(struct info *info, const char *what, const struct vcdev_error *err)
{
	if (info->nr_gaps < MAX_GAPS)
		info->gaps[info->nr_gaps++] = (struct info_gap){ what, *err };
}

static FILE *open_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static FILE *open_text(const char *fmt, ...)
{
	char path[4096];
	va_list ap;
	int length;

	length = snprintf(path, sizeof(path), "%s", tool_host->root);
	if (length < 0 || (size_t)length >= sizeof(path))
		return NULL;
	va_start(ap, fmt);
	vsnprintf(path + length, sizeof(path) - length, fmt, ap);
	va_end(ap);
	return fopen(path, "re");
}

/* ------------------------------------------------------------------- VFIO */

static int gather_regions(struct info *info, struct vcdev_dev *dev, struct vcdev_error *err)
{
	uint32_t i;
	int rc;

	info->regions = calloc(info->dev_info.nr_regions ? info->dev_info.nr_regions : 1,
			       sizeof(*info->regions));
	if (!info->regions)
		return -ENOMEM;
	for (i = 0; i < info->dev_info.nr_regions; i++) {
		struct info_region *region = &info->regions[info->nr_regions];

		rc = vcdev_region_get(dev, i, &region->region, err);
		if (rc)
			return rc;
		if (!region->region.size) {
			vcdev_region_free(&region->region);
			continue;
		}
		region->index = i;
		info->nr_regions++;
	}
	return 0;
}

static int gather_irqs(struct info *info, struct vcdev_dev *dev, struct vcdev_error *err)
{
	uint32_t i;
	int rc;

	info->irqs = calloc(info->dev_info.nr_irqs ? info->dev_info.nr_irqs : 1,
			    sizeof(*info->irqs));
	if (!info->irqs)
		return -ENOMEM;
	for (i = 0; i < info->dev_info.nr_irqs; i++) {
		struct info_irq *irq = &info->irqs[info->nr_irqs];

		rc = vcdev_irq_get(dev, i, &irq->irq, err);
		if (rc)
			return rc;
		if (!irq->irq.count)
			continue;
		irq->index = i;
		info->nr_irqs++;
	}
	return 0;
}

/* The page table that it just got says what sizes it can have, in our own fdinfo. */
static void gather_pgsizes(struct info *info, struct vcdev_ctx *ctx)
{
	char path[64], *line = NULL;
	size_t room = 0;
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vcdev_ctx_fd(ctx));
	file = fopen(path, "re");
	if (!file)
		return;
	while (getline(&line, &room, file) > 0) {
		at = strstr(line, "pgsizes=");
		if (!strncmp(line, "hwpt:", 5) && at)
			info->pgsizes = strtoull(at + 8, NULL, 16);
	}
	free(line);
	fclose(file);
}

/* What else can be asked of a bound device. */
static void gather_abilities(struct info *info, struct vcdev_ctx *ctx, struct vcdev_dev *dev)
{
	struct vcdev_error err;
	bool is_owned;
	ssize_t nr;

	if (vcdev_dev_features(dev, &info->features, &err))
		add_gap(info, "features", &err);
	else
		info->has_features = true;
	if (vcdev_dev_hw_info(dev, ctx, &info->hw_info, &err))
		add_gap(info, "IOMMU", &err);
	else
		info->has_iommu = true;
	nr = vcdev_dev_reset_set(dev, &info->reset_set, &is_owned, &err);
	/* A function on a root bus has none: nothing is missing. */
	if (nr < 0 && err.code != -ENODEV)
		add_gap(info, "reset set", &err);
	else if (nr > 0)
		info->nr_reset_set = nr;
}

static int gather_iovas(struct info *info, struct vcdev_ctx *ctx, struct vcdev_dev *dev,
			struct vcdev_error *err)
{
	uint32_t ioas;
	ssize_t nr;
	int rc;

	rc = vcdev_ioas_alloc(ctx, &ioas, err);
	if (rc)
		return rc;
	rc = vcdev_dev_attach(dev, ioas, NULL, err);
	if (rc)
		return rc;
	gather_pgsizes(info, ctx);
	nr = vcdev_iova_ranges(ctx, ioas, &info->iovas, &info->iova_alignment, err);
	if (nr < 0)
		return nr;
	info->nr_iovas = nr;
	return 0;
}

static void drop_vfio(struct info *info)
{
	size_t i;

	for (i = 0; i < info->nr_regions; i++)
		vcdev_region_free(&info->regions[i].region);
	free(info->regions);
	free(info->irqs);
	info->regions = NULL;
	info->irqs = NULL;
	info->nr_regions = info->nr_irqs = 0;
}

/* Returns false, with the reason, if VFIO's view of regions is not to be had. */
static bool gather_vfio(struct info *info, struct vcdev_error *err)
{
	static const char what[] = "IOVA ranges";
	struct acquired acquired;
	bool is_read = false;

	if (!info->pci.cdev[0]) {
		vcdev_pci_why_no_cdev(tool_host, &info->pci, err);
		return false;
	}
	if (info->nr_holders) {
		memset(err, 0, sizeof(*err));
		err->code = -EBUSY;
		snprintf(err->text, sizeof(err->text), "in use by process %d (%s)",
			 (int)info->holders[0].pid, info->holders[0].comm);
		snprintf(err->hint, sizeof(err->hint), "ask again when that process has ended");
		return false;
	}
	if (acquire(info->pci.bdf, &acquired, err))
		return false;
	if (vcdev_dev_info(acquired.dev, &info->dev_info, err))
		goto out_release;
	memset(err, 0, sizeof(*err));
	strcpy(err->text, "out of memory");
	if (gather_regions(info, acquired.dev, err) || gather_irqs(info, acquired.dev, err)) {
		drop_vfio(info);
		goto out_release;
	}
	is_read = true;
	gather_abilities(info, acquired.ctx, acquired.dev);
	if (gather_iovas(info, acquired.ctx, acquired.dev, err))
		add_gap(info, what, err);
out_release:
	release(&acquired);
	return is_read;
}

/* ------------------------------------------------------ sysfs, config space */

static void gather_sysfs(struct info *info)
{
	char path[4096], target[256];
	const char *name;
	ssize_t length;
	FILE *file;

	file = open_text("/sys/bus/pci/devices/%s/reset_method", info->pci.bdf);
	if (file) {
		if (fgets(info->reset_methods, sizeof(info->reset_methods), file))
			info->reset_methods[strcspn(info->reset_methods, "\n")] = '\0';
		fclose(file);
	}
	if (snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/iommu", tool_host->root,
		     info->pci.bdf) >= (int)sizeof(path))
		return;
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) < sizeof(info->iommu))
		strcpy(info->iommu, name);
}

static int gather_resources(struct info *info)
{
	uint64_t start, last, flags;
	uint32_t i;
	FILE *file;

	file = open_text("/sys/bus/pci/devices/%s/resource", info->pci.bdf);
	if (!file)
		return -errno;
	info->regions = calloc(NR_RESOURCES, sizeof(*info->regions));
	if (!info->regions) {
		fclose(file);
		return -ENOMEM;
	}
	for (i = 0; i < NR_RESOURCES; i++) {
		struct info_region *region = &info->regions[info->nr_regions];

		if (fscanf(file, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &last, &flags) != 3)
			break;
		if (!flags || (!start && !last))
			continue;
		region->index = i;
		region->region.size = last - start + 1;
		region->is_io = flags & 0x100;
		region->is_prefetchable = flags & 0x2000;
		region->is_64bit = flags & 0x100000;
		info->nr_regions++;
	}
	fclose(file);
	return 0;
}

static int gather_layout_irqs(struct info *info)
{
	const unsigned int counts[] = { info->layout.intx, info->layout.msi, info->layout.msix };
	uint32_t i;

	info->irqs = calloc(3, sizeof(*info->irqs));
	if (!info->irqs)
		return -ENOMEM;
	for (i = 0; i < 3; i++) {
		if (!counts[i])
			continue;
		info->irqs[info->nr_irqs].index = i;
		info->irqs[info->nr_irqs++].irq.count = counts[i];
	}
	return 0;
}

static int gather_reserved(struct info *info)
{
	struct info_reserved region, *grown;
	FILE *file;
	int rc = 0;

	if (info->pci.group < 0)
		return 0;
	file = open_text("/sys/kernel/iommu_groups/%d/reserved_regions", info->pci.group);
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (fscanf(file, "%" SCNx64 " %" SCNx64 " %31s", &region.start, &region.last,
		      region.type) == 3) {
		grown = reallocarray(info->reserved, info->nr_reserved + 1, sizeof(*grown));
		if (!grown) {
			rc = -ENOMEM;
			break;
		}
		info->reserved = grown;
		info->reserved[info->nr_reserved++] = region;
	}
	fclose(file);
	return rc;
}

static int gather(struct info *info, struct names *names)
{
	struct vcdev_error err = { 0 };
	ssize_t nr;
	int rc;

	names_vendor(names, &info->pci, info->vendor, sizeof(info->vendor));
	names_device(names, &info->pci, info->device, sizeof(info->device));
	names_class(names, &info->pci, info->class_name, sizeof(info->class_name));
	if (info->pci.group >= 0) {
		nr = vcdev_pci_group(tool_host, info->pci.group, &info->members, &err);
		if (nr < 0)
			add_gap(info, "group", &err);
		else
			info->nr_members = nr;
	} else if (vcdev_iommu_present(tool_host, &err)) {
		add_gap(info, "group", &err);
	}
	nr = vcdev_pci_holders(tool_host, &info->pci, &info->holders, NULL);
	if (nr > 0)
		info->nr_holders = nr;

	gather_sysfs(info);
	rc = names_layout(names, &info->pci, &info->layout);
	if (rc == -ENOMEM)
		return rc;
	if (!info->layout.is_complete) {
		memset(&err, 0, sizeof(err));
		err.code = -EACCES;
		strcpy(err.text, "only root sees more than 64 bytes of configuration space");
		strcpy(err.hint, "run this as root");
		add_gap(info, "capabilities", &err);
	}
	info->has_vfio = gather_vfio(info, &err);
	if (!info->has_vfio) {
		add_gap(info, "VFIO regions, interrupts and IOVA ranges", &err);
		rc = gather_resources(info);
		if (rc == -ENOMEM)
			return rc;
		rc = gather_layout_irqs(info);
		if (rc)
			return rc;
	}
	return gather_reserved(info);
}

static void info_uninit(struct info *info)
{
	drop_vfio(info);
	free(info->members);
	free(info->holders);
	free(info->layout.caps);
	free(info->iovas);
	free(info->reset_set);
	free(info->reserved);
}

static int run_info(int argc, char **argv)
{
	struct vcdev_mdev mdev;
	struct vcdev_pci *pci;
	struct names names;
	struct info *info;
	bool json = false;
	int first, rc, status;

	first = parse_options(&command_info, argc, argv, &json);
	if (first < 0)
		return -1 - first;
	if (argc - first != 1)
		return report_usage("info", "needs one device");
	if (!vcdev_mdev_find(tool_host, argv[first], &mdev, NULL)) {
		rc = info_mdev(&mdev, json);
		if (rc)
			fprintf(stderr, "vfio-cdev: %s: info: %s\n", mdev.uuid, strerror(-rc));
		return rc ? EXIT_FAILED : EXIT_OK;
	}
	status = look_at_all("info", 1, argv + first, &pci);
	if (status)
		return status;
	info = calloc(1, sizeof(*info));
	if (!info) {
		rc = -ENOMEM;
		goto out_report;
	}
	info->pci = *pci;
	names_init(&names);
	rc = gather(info, &names);
	names_uninit(&names);
	if (!rc)
		rc = json ? info_print_json(info) : info_print_text(info);
	info_uninit(info);
	free(info);
out_report:
	if (rc)
		fprintf(stderr, "vfio-cdev: %s: info: %s\n", pci->bdf, strerror(-rc));
	free(pci);
	return rc ? EXIT_FAILED : EXIT_OK;
}

const struct command command_info = {
	.name = "info",
	.args = "[--json] BDF|UUID",
	.summary = "show regions, interrupts, capabilities and IOVA ranges",
	.details =
		"  --json   machine-readable\n"
		"\n"
		"A function bound to vfio-pci that nobody uses is opened for this, which\n"
		"may reset it. Of others, what sysfs and configuration space tell is shown,\n"
		"and under 'not read' what is missing and why. A mediated device, by its UUID or\n"
		"cdev, is never opened: what sysfs tells, and who has it.\n",
	.run = run_info,
};
