// Package monitoring holds samples for Prometheus, Grafana and Nagios, and the
// tests that hold them to what the guard really exports. README.md says how to
// use them.
//
// The invariant: a sample names no metric and no label that does not exist.
package monitoring
