# SPDX-License-Identifier: GPL-2.0
#
# The kernel's trees, out of the distribution's source (LINUX_SOURCE, the archive
# or a directory), into $(O)/trees. $(trees) is there when they are.

trees := $(O)/trees/.unpacked
trees_files := include/linux/rbtree.h include/linux/rbtree_types.h \
	include/linux/rbtree_augmented.h include/linux/interval_tree.h \
	include/linux/interval_tree_generic.h lib/rbtree.c lib/interval_tree.c
trees_src := $(O)/trees/lib/rbtree.c $(O)/trees/lib/interval_tree.c

$(trees):
	@test -e $(LINUX_SOURCE) || { \
		echo "no $(LINUX_SOURCE): apt install linux-source-6.1"; \
		exit 1; }
	@mkdir -p $(O)/trees
	@if test -d $(LINUX_SOURCE); then \
		cd $(LINUX_SOURCE) && cp --parents $(trees_files) \
			$(abspath $(O))/trees; \
	else \
		tar -C $(O)/trees -xf $(LINUX_SOURCE) --strip-components=1 \
			--occurrence $(trees_files:%=linux-source-6.1/%); \
	fi
	@touch $@
