/*
 * Repair of an image in its directory.
 *
 * What is frozen looks changed after a repair.  If nobody else had changed it
 * before, that it does now is noted as how it was frozen.
 */
#include "disk/check.h"
#include "disk/tree.h"

#include <string.h>

static bool
is_frozen_as_it_is(const struct tree *tree, const char *file)
{
	const struct tree_node *node = tree_find(tree, file);

	return node != NULL && node->frozen && !node->changed;
}

int
tree_repair(const char *path, struct check *check, struct err *err)
{
	const char *file = tree_base_name(path);
	struct tree tree;
	bool frozen, hidden = false;
	int error = tree_open(&tree, path, err);

	memset(check, 0, sizeof(*check));
	if (error == 0)
		error = tree_scan(&tree, err);
	frozen = error == 0 && is_frozen_as_it_is(&tree, file);
	if (frozen) {
		hidden = tree_find(&tree, file)->hidden;
		tree_unstamp(&tree, file);
		error = tree_commit(&tree, err);
	}
	if (error == 0)
		error = disk_check(path, true, check, err);
	if (frozen &&
	    tree_freeze(&tree, file, file,
		hidden ? CATALOGUE_HIDDEN : CATALOGUE_FROZEN,
		error == 0 ? err : NULL) == 0) {
		int committed = tree_commit(&tree, error == 0 ? err : NULL);

		error = error != 0 ? error : committed;
	}
	tree_close(&tree);
	return error;
}
