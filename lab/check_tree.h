/*
 * check_tree.h - what cannot be of the spanning trees of a lab; a part of
 * lab_check().
 */
#ifndef LAB_CHECK_TREE_H
#define LAB_CHECK_TREE_H

#include "lab/model.h"

void lab_check_trees(const struct lab *lab, struct problems *problems);

#endif
