module reference

go 1.26

require google.golang.org/protobuf v1.36.12

require golang.org/x/oauth2 v0.36.0

require cloud.google.com/go/compute/metadata v0.3.0 // indirect

// The fork that Central is built with.
replace golang.org/x/oauth2 => github.com/stackrox/oauth2 v0.27.1-0.20250303074527-ab111a926f2a
