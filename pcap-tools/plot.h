/*
 * plot.h - bit rates over time, one line per point, as SVG.
 */
#ifndef PCAP_TOOLS_PLOT_H
#define PCAP_TOOLS_PLOT_H

#include <stdio.h>

#include "pcap-tools/reader.h"
#include "pcap-tools/stats.h"

#define PLOT_LINES 8 /* the busiest points */

void plot(const struct stats *stats, const struct reader *reader, FILE *out);

#endif
