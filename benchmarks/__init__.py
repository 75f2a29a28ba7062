"""What each path costs beside its floor, and HTTP workloads that any FHIR server can run. docs/benchmarks.md"""
