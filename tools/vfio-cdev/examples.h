/* SPDX-License-Identifier: GPL-2.0 */
/* The main() of examples/edu.c, nvme.c and copy.c, as the Makefile calls them here. */
#ifndef VFIO_CDEV_EXAMPLES_H
#define VFIO_CDEV_EXAMPLES_H

int example_edu(int argc, char **argv);
int example_nvme(int argc, char **argv);
int example_copy(int argc, char **argv);

#endif
