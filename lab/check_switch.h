/*
 * check_switch.h - what the ports of a lab's switches cannot be set to; a part
 * of lab_check().
 */
#ifndef LAB_CHECK_SWITCH_H
#define LAB_CHECK_SWITCH_H

#include "lab/model.h"

void lab_check_switches(const struct lab *lab, struct problems *problems);

#endif
