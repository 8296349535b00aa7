// SPDX-License-Identifier: GPL-2.0
/*
 * Names of devices from pci.ids, and capabilities, through libpci.
 *
 * libpci ends the program on errors unless told otherwise: here it comes back by
 * longjmp() to the function that called it, and its warnings are dropped. No
 * function here needs names to be known: without pci.ids there are numbers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pci/pci.h>

#include "tool.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* One thread, and libpci hands its callbacks nothing to find a context by. */
static jmp_buf on_error;

static void __attribute__((noreturn)) libpci_error(char *fmt, ...)
{
	(void)fmt;
	longjmp(on_error, 1);
}

static void libpci_silent(char *fmt, ...)
{
	(void)fmt;
}

void names_init(struct names *names)
{
	char path[4096], sysfs_path[] = "sysfs.path";
	char hwdb[] = "hwdb.disable", yes[] = "1";
	struct pci_access *access;

	names->access = NULL;
	access = pci_alloc();
	if (!access)
		return;
	access->error = libpci_error;
	access->warning = libpci_silent;
	access->debug = libpci_silent;
	access->method = PCI_ACCESS_SYS_BUS_PCI;
	snprintf(path, sizeof(path), "%s/sys/bus/pci", tool_host->root);
	pci_set_param(access, sysfs_path, path);
	/* pci.ids is enough, and libpci 3.9 leaks the handle of udev's copy. */
	pci_set_param(access, hwdb, yes);
	if (setjmp(on_error)) {
		pci_cleanup(access);
		return;
	}
	pci_init(access);
	names->access = access;
}

void names_uninit(struct names *names)
{
	if (names->access)
		pci_cleanup(names->access);
	names->access = NULL;
}

static bool lookup(struct names *names, char *buf, size_t size, int flags, int a, int b)
{
	if (!names->access || setjmp(on_error))
		return false;
	return pci_lookup_name(names->access, buf, size, flags | PCI_LOOKUP_NO_NUMBERS, a, b);
}

void names_vendor(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	if (!lookup(names, buf, size, PCI_LOOKUP_VENDOR, pci->vendor, 0))
		snprintf(buf, size, "Vendor %04x", pci->vendor);
}

void names_device(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	if (!lookup(names, buf, size, PCI_LOOKUP_DEVICE, pci->vendor, pci->device))
		snprintf(buf, size, "Device %04x", pci->device);
}

void names_class(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	if (!lookup(names, buf, size, PCI_LOOKUP_CLASS, pci->class_code >> 8, 0))
		snprintf(buf, size, "Class %06x", pci->class_code);
}

static const char *const capability_names[] = {
	[PCI_CAP_ID_PM] = "Power Management",
	[PCI_CAP_ID_AGP] = "AGP",
	[PCI_CAP_ID_VPD] = "Vital Product Data",
	[PCI_CAP_ID_SLOTID] = "Slot Identification",
	[PCI_CAP_ID_MSI] = "MSI",
	[PCI_CAP_ID_CHSWP] = "CompactPCI Hot Swap",
	[PCI_CAP_ID_PCIX] = "PCI-X",
	[PCI_CAP_ID_HT] = "HyperTransport",
	[PCI_CAP_ID_VNDR] = "Vendor Specific",
	[PCI_CAP_ID_DBG] = "Debug Port",
	[PCI_CAP_ID_CCRC] = "CompactPCI Resource Control",
	[PCI_CAP_ID_HOTPLUG] = "Hot Plug",
	[PCI_CAP_ID_SSVID] = "Bridge Subsystem ID",
	[PCI_CAP_ID_AGP3] = "AGP 8x",
	[PCI_CAP_ID_SECURE] = "Secure Device",
	[PCI_CAP_ID_EXP] = "PCI Express",
	[PCI_CAP_ID_MSIX] = "MSI-X",
	[PCI_CAP_ID_SATA] = "SATA",
	[PCI_CAP_ID_AF] = "Advanced Features",
	[PCI_CAP_ID_EA] = "Enhanced Allocation",
};

static const char *const extended_names[] = {
	[PCI_EXT_CAP_ID_AER] = "Advanced Error Reporting",
	[PCI_EXT_CAP_ID_VC] = "Virtual Channel",
	[PCI_EXT_CAP_ID_DSN] = "Device Serial Number",
	[PCI_EXT_CAP_ID_PB] = "Power Budgeting",
	[PCI_EXT_CAP_ID_VC2] = "Virtual Channel (MFVC)",
	[PCI_EXT_CAP_ID_VNDR] = "Vendor Specific",
	[PCI_EXT_CAP_ID_ACS] = "Access Control Services",
	[PCI_EXT_CAP_ID_ARI] = "Alternative Routing-ID (ARI)",
	[PCI_EXT_CAP_ID_ATS] = "Address Translation Services",
	[PCI_EXT_CAP_ID_SRIOV] = "SR-IOV",
	[PCI_EXT_CAP_ID_PRI] = "Page Request Interface",
	[PCI_EXT_CAP_ID_REBAR] = "Resizable BAR",
	[PCI_EXT_CAP_ID_DPA] = "Dynamic Power Allocation",
	[PCI_EXT_CAP_ID_TPH] = "TPH Requester",
	[PCI_EXT_CAP_ID_LTR] = "Latency Tolerance Reporting",
	[PCI_EXT_CAP_ID_SECPCI] = "Secondary PCI Express",
	[PCI_EXT_CAP_ID_PASID] = "PASID",
	[PCI_EXT_CAP_ID_DPC] = "Downstream Port Containment",
	[PCI_EXT_CAP_ID_L1PM] = "L1 PM Substates",
	[PCI_EXT_CAP_ID_PTM] = "Precision Time Measurement",
	[PCI_EXT_CAP_ID_DVSEC] = "Designated Vendor Specific",
};

static const char *capability_name(uint16_t id, bool is_extended)
{
	const char *name = NULL;

	if (!is_extended && id < ARRAY_SIZE(capability_names))
		name = capability_names[id];
	else if (is_extended && id < ARRAY_SIZE(extended_names))
		name = extended_names[id];
	return name ? name : "";
}

static int compare_capability(const void *a, const void *b)
{
	const struct pci_capability *left = a, *right = b;

	return left->offset - right->offset;
}

static int read_layout(struct pci_dev *dev, struct pci_layout *layout)
{
	struct pci_cap *cap;
	uint8_t last;
	size_t nr = 0;

	pci_fill_info(dev, PCI_FILL_IDENT | PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
	layout->is_complete = pci_read_block(dev, 0x40, &last, 1);
	layout->intx = pci_read_byte(dev, PCI_INTERRUPT_PIN) ? 1 : 0;
	for (cap = dev->first_cap; cap; cap = cap->next)
		nr++;
	layout->caps = calloc(nr ? nr : 1, sizeof(*layout->caps));
	if (!layout->caps)
		return -ENOMEM;
	for (cap = dev->first_cap; cap; cap = cap->next) {
		bool is_extended = cap->type == PCI_CAP_EXTENDED;
		uint16_t control;

		layout->caps[layout->nr_caps++] = (struct pci_capability){
			.id = cap->id,
			.is_extended = is_extended,
			.offset = cap->addr,
			.name = capability_name(cap->id, is_extended),
		};
		if (is_extended)
			continue;
		control = pci_read_word(dev, cap->addr + 2);
		if (cap->id == PCI_CAP_ID_MSI)
			layout->msi = 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
		else if (cap->id == PCI_CAP_ID_MSIX)
			layout->msix = (control & PCI_MSIX_TABSIZE) + 1;
	}
	qsort(layout->caps, layout->nr_caps, sizeof(*layout->caps), compare_capability);
	return 0;
}

int names_layout(struct names *names, const struct vcdev_pci *pci, struct pci_layout *layout)
{
	unsigned int domain, bus, device, function;
	struct pci_dev *volatile dev = NULL;
	int rc;

	memset(layout, 0, sizeof(*layout));
	if (!names->access ||
	    sscanf(pci->bdf, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
		return -ENODEV;
	if (setjmp(on_error)) {
		if (dev)
			pci_free_dev(dev);
		free(layout->caps);
		memset(layout, 0, sizeof(*layout));
		return -EIO;
	}
	dev = pci_get_dev(names->access, domain, bus, device, function);
	if (!dev)
		return -ENOMEM;
	rc = read_layout(dev, layout);
	pci_free_dev(dev);
	return rc;
}
