// Package monitoring holds samples for Prometheus, Grafana and Nagios, and the
// tests that compare them with what the guard exports. README.md explains
// their use.
//
// Invariant: a sample names no metric and no label that does not exist.
package monitoring
