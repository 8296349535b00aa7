// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs says about PCI functions. Read only.
 *
 * An attribute that is missing is not an error (kernels differ, fixtures are
 * small): its field keeps the value for "unknown". Only the vendor ID has to be
 * there, it makes a directory a function.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int vcdev_bdf_parse(const char *text, char bdf[VCDEV_BDF_LEN])
{
	unsigned int domain = 0, bus, device, function;
	int end = -1;

	if (strlen(text) >= VCDEV_BDF_LEN || strspn(text, "0123456789abcdefABCDEF:.") !=
	    strlen(text))
		return -EINVAL;
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 ||
	    end < 0 || text[end]) {
		end = -1;
		domain = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3 ||
		    end < 0 || text[end])
			return -EINVAL;
	}
	if (device > 0x1f || function > 7)
		return -EINVAL;
	snprintf(bdf, VCDEV_BDF_LEN, "%04x:%02x:%02x.%x", domain, bus, device, function);
	return 0;
}

bool vcdev_is_vfio_driver(const char *driver)
{
	/* vfio-pci, and variant drivers such as mlx5_vfio_pci */
	return strstr(driver, "vfio") != NULL;
}

static bool is_dots(const char *name)
{
	return name[0] == '.';
}

/* The only entry of a directory, as in .../vfio-dev/. */
static int first_entry(const struct vcdev_path *path, char *buf, size_t size)
{
	struct dirent *entry;
	DIR *dir;
	int rc = -ENOENT;

	dir = opendir(path->s);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (!is_dots(entry->d_name) && strlen(entry->d_name) < size) {
			strcpy(buf, entry->d_name);
			rc = 0;
			break;
		}
	closedir(dir);
	return rc;
}

static uint64_t attr_or(const struct vcdev_host *host, const char *bdf,
			const char *attr, uint64_t unknown)
{
	struct vcdev_path path;
	uint64_t value;

	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/%s", bdf, attr);
	return vcdev_attr_u64(&path, &value) ? unknown : value;
}

static bool link_of(const struct vcdev_host *host, const char *bdf,
		    const char *name, char *buf, size_t size)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/%s", bdf, name);
	if (!vcdev_link_name(&path, buf, size))
		return true;
	buf[0] = '\0';
	return false;
}

/* The header type tells a bridge; the first 64 bytes are readable by all. */
static bool has_bridge_header(const struct vcdev_host *host, const char *bdf)
{
	struct vcdev_path path;
	unsigned char header[64];
	size_t got;
	FILE *file;

	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/config", bdf);
	file = fopen(path.s, "re");
	if (!file)
		return false;
	got = fread(header, 1, sizeof(header), file);
	fclose(file);
	return got == sizeof(header) && (header[0x0e] & 0x7f);
}

static int pci_fill(const struct vcdev_host *host, const char *bdf,
		    struct vcdev_pci *pci)
{
	char text[VCDEV_NAME_LEN];
	struct vcdev_path path;
	uint64_t vendor;
	int rc;

	memset(pci, 0, sizeof(*pci));
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/vendor", bdf);
	rc = vcdev_attr_u64(&path, &vendor);
	if (rc)
		return rc;
	snprintf(pci->bdf, sizeof(pci->bdf), "%s", bdf);
	pci->vendor = vendor;
	pci->device = attr_or(host, bdf, "device", 0);
	pci->subvendor = attr_or(host, bdf, "subsystem_vendor", 0);
	pci->subdevice = attr_or(host, bdf, "subsystem_device", 0);
	pci->class_code = attr_or(host, bdf, "class", 0);
	pci->total_vfs = attr_or(host, bdf, "sriov_totalvfs", 0);
	pci->nr_vfs = attr_or(host, bdf, "sriov_numvfs", 0);
	pci->group = -1;
	pci->numa_node = -1;
	pci->is_bridge = has_bridge_header(host, bdf);

	link_of(host, bdf, "driver", pci->driver, sizeof(pci->driver));
	link_of(host, bdf, "physfn", pci->pf, sizeof(pci->pf));
	if (link_of(host, bdf, "iommu_group", text, sizeof(text)))
		pci->group = atoi(text);
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/numa_node", bdf);
	if (vcdev_attr_read(&path, text, sizeof(text)) > 0)
		pci->numa_node = atoi(text);
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/driver_override", bdf);
	if (vcdev_attr_read(&path, text, sizeof(text)) > 0 && strcmp(text, "(null)"))
		memcpy(pci->override, text, sizeof(pci->override));
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	if (!first_entry(&path, text, sizeof(text))) {
		/* Linux 6.1's own vfio has the class device, and no node behind it. */
		vcdev_path(host, &path, "/sys/bus/pci/devices/%s/vfio-dev/%s/dev", bdf, text);
		if (vcdev_exists(&path))
			memcpy(pci->cdev, text, sizeof(pci->cdev));
	}
	return 0;
}

int vcdev_no_function(const struct vcdev_host *host, const char *bdf,
		      struct vcdev_error *err)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/pci/devices");
	if (!vcdev_exists(&path)) {
		vcdev_fail(err, -ENODEV, "this system has no PCI bus in sysfs");
		vcdev_hint(err, "mount sysfs on /sys");
		return -ENODEV;
	}
	vcdev_fail(err, -ENODEV, "no PCI function has the address %s", bdf);
	vcdev_hint(err, "'vfio-cdev list' shows all functions");
	return -ENODEV;
}

int vcdev_pci_get(const struct vcdev_host *host, const char *bdf,
		  struct vcdev_pci *pci, struct vcdev_error *err)
{
	char full[VCDEV_BDF_LEN];
	int rc;

	if (vcdev_bdf_parse(bdf, full)) {
		vcdev_fail(err, -EINVAL, "not a PCI address");
		vcdev_hint(err, "write it like 0000:01:00.0 or 01:00.0; "
			   "'vfio-cdev list' shows all functions");
		return -EINVAL;
	}
	rc = pci_fill(host, full, pci);
	if (rc == -ENOENT)
		return vcdev_no_function(host, full, err);
	if (rc)
		return vcdev_fail(err, rc, "cannot read %s in sysfs: %s", full,
				  strerror(-rc));
	return 0;
}

int vcdev_pci_upstream(const struct vcdev_host *host, const char *bdf,
		       char upstream[VCDEV_BDF_LEN])
{
	struct vcdev_path path;
	char real[PATH_MAX];
	char *slash;

	/* In /sys/devices a function stands below its bridge. */
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s", bdf);
	if (!realpath(path.s, real))
		return -ENOENT;
	*strrchr(real, '/') = '\0';
	slash = strrchr(real, '/');
	if (!slash || vcdev_bdf_parse(slash + 1, upstream))
		return -ENOENT;
	return 0;
}

int vcdev_pci_find(const struct vcdev_host *host, const char *name,
		   struct vcdev_pci *pci, struct vcdev_error *err)
{
	const char *last = strrchr(name, '/');
	char parent[VCDEV_NAME_LEN], bdf[VCDEV_BDF_LEN];
	struct vcdev_path path;

	last = last ? last + 1 : name;
	vcdev_path(host, &path, "/sys/bus/mdev/devices/%s", last);
	if (last[0] && last[0] != '.' && vcdev_exists(&path)) {
		vcdev_fail(err, -ENODEV, "is a mediated device, and this takes PCI functions");
		vcdev_hint(err, "vfio-cdev info %s", last);
		return -ENODEV;
	}
	if (strncmp(last, "vfio", 4) || !isdigit((unsigned char)last[4]))
		return vcdev_pci_get(host, name, pci, err);
	vcdev_path(host, &path, "/sys/class/vfio-dev/%s/device", last);
	if (vcdev_link_name(&path, parent, sizeof(parent))) {
		vcdev_fail(err, -ENODEV, "there is no VFIO device %s", last);
		vcdev_hint(err, "'vfio-cdev list' shows all functions and their cdevs");
		return -ENODEV;
	}
	if (vcdev_bdf_parse(parent, bdf)) {
		vcdev_fail(err, -ENODEV, "%s is not of a PCI function but of %s", last, parent);
		vcdev_hint(err, "vfio-cdev info %s", parent);
		return -ENODEV;
	}
	return vcdev_pci_get(host, bdf, pci, err);
}

/* ------------------------------------------------------------------ lists */

static int compare_bdf(const void *a, const void *b)
{
	const struct vcdev_pci *left = a, *right = b;

	return strcmp(left->bdf, right->bdf);
}

/*
 * All functions that a directory names, by its entries or (with @prefix) by
 * what links of that name point to. One that goes away meanwhile is left out.
 */
static ssize_t list_dir(const struct vcdev_host *host, const struct vcdev_path *dir_path,
			const char *prefix, struct vcdev_pci **list,
			struct vcdev_error *err)
{
	struct vcdev_pci *found = NULL, *grown;
	size_t nr = 0, room = 0;
	char bdf[VCDEV_BDF_LEN];
	struct vcdev_path link;
	struct dirent *entry;
	DIR *dir;
	int rc;

	dir = opendir(dir_path->s);
	if (!dir) {
		rc = -errno;
		return vcdev_fail(err, rc, "cannot read %s: %s", dir_path->s, strerror(-rc));
	}
	while ((entry = readdir(dir))) {
		if (is_dots(entry->d_name))
			continue;
		if (prefix) {
			if (strncmp(entry->d_name, prefix, strlen(prefix)))
				continue;
			if (snprintf(link.s, sizeof(link.s), "%s/%s", dir_path->s,
				     entry->d_name) >= (int)sizeof(link.s) ||
			    vcdev_link_name(&link, bdf, sizeof(bdf)))
				continue;
		} else if (vcdev_bdf_parse(entry->d_name, bdf)) {
			continue;
		}
		if (nr == room) {
			room = room ? 2 * room : 32;
			grown = reallocarray(found, room, sizeof(*found));
			if (!grown) {
				rc = vcdev_fail(err, -ENOMEM, "out of memory");
				goto err_free_found;
			}
			found = grown;
		}
		if (!pci_fill(host, bdf, &found[nr]))
			nr++;
	}
	closedir(dir);
	if (nr)
		qsort(found, nr, sizeof(*found), compare_bdf);
	*list = found;
	return nr;

err_free_found:
	free(found);
	closedir(dir);
	return rc;
}

ssize_t vcdev_pci_list(const struct vcdev_host *host, struct vcdev_pci **list,
		       struct vcdev_error *err)
{
	struct vcdev_path path;
	ssize_t nr;

	vcdev_path(host, &path, "/sys/bus/pci/devices");
	nr = list_dir(host, &path, NULL, list, err);
	if (nr == -ENOENT)
		return vcdev_no_function(host, "", err);
	return nr;
}

ssize_t vcdev_pci_group(const struct vcdev_host *host, int group,
			struct vcdev_pci **list, struct vcdev_error *err)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/kernel/iommu_groups/%d/devices", group);
	return list_dir(host, &path, NULL, list, err);
}

ssize_t vcdev_pci_vfs(const struct vcdev_host *host, const char *bdf,
		      struct vcdev_pci **list, struct vcdev_error *err)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/pci/devices/%s", bdf);
	return list_dir(host, &path, "virtfn", list, err);
}

/* -------------------------------------------------------------- diagnosis */

static bool find_word(const char *line, const char *const *words, size_t nr,
		      const char **word)
{
	size_t i, length;
	const char *at;

	for (i = 0; i < nr; i++) {
		length = strlen(words[i]);
		for (at = strstr(line, words[i]); at; at = strstr(at + 1, words[i]))
			if ((at == line || at[-1] == ' ') &&
			    (!at[length] || at[length] == ' ' || at[length] == ',')) {
				*word = words[i];
				return true;
			}
	}
	return false;
}

int vcdev_iommu_present(const struct vcdev_host *host, struct vcdev_error *err)
{
	static const char *const off[] = { "intel_iommu=off", "amd_iommu=off", "iommu=off" };
	struct vcdev_path path, dmar, ivrs;
	char line[4096], entry[32];
	const char *word;

	vcdev_path(host, &path, "/sys/kernel/iommu_groups");
	if (!first_entry(&path, entry, sizeof(entry)))
		return 0;

	vcdev_path(host, &path, "/proc/cmdline");
	if (vcdev_attr_read(&path, line, sizeof(line)) > 0 &&
	    find_word(line, off, ARRAY_SIZE(off), &word)) {
		vcdev_fail(err, -ENODEV, "no IOMMU: the kernel command line has '%s'", word);
		vcdev_hint(err, "remove '%s' from the kernel command line and boot again",
			   word);
		return -ENODEV;
	}
	vcdev_path(host, &dmar, "/sys/firmware/acpi/tables/DMAR");
	vcdev_path(host, &ivrs, "/sys/firmware/acpi/tables/IVRS");
	if (vcdev_exists(&dmar) || vcdev_exists(&ivrs)) {
		vcdev_fail(err, -ENODEV, "no IOMMU: the firmware reports one, but the kernel "
			   "does not use it");
		vcdev_hint(err, "boot with 'intel_iommu=on' (Intel) or without "
			   "'amd_iommu=off' (AMD)");
		return -ENODEV;
	}
	vcdev_fail(err, -ENODEV, "no IOMMU: the firmware reports none");
	vcdev_hint(err, "switch it on in the firmware setup (VT-d, AMD-Vi); in a virtual "
		   "machine, add one (QEMU: -device intel-iommu)");
	return -ENODEV;
}

int vcdev_pci_why_no_cdev(const struct vcdev_host *host, const struct vcdev_pci *pci,
			  struct vcdev_error *err)
{
	(void)host;
	if (!pci->driver[0]) {
		vcdev_fail(err, -ENXIO, "not bound to vfio-pci (no driver)");
		vcdev_hint(err, "vfio-cdev bind %s", pci->bdf);
		return -ENXIO;
	}
	if (!vcdev_is_vfio_driver(pci->driver)) {
		vcdev_fail(err, -ENXIO, "not bound to vfio-pci (driver %s)", pci->driver);
		vcdev_hint(err, "vfio-cdev bind %s", pci->bdf);
		return -ENXIO;
	}
	vcdev_fail(err, -ENXIO, "the loaded module vfio has no device cdev (the stock vfio of "
		   "Linux 6.1?)");
	vcdev_hint(err, "unbind all devices from vfio-pci, 'modprobe -r vfio-pci', install this "
		   "project's modules, 'modprobe vfio-pci'; 'modinfo -n vfio' shows which vfio "
		   "will be loaded");
	return -ENXIO;
}
