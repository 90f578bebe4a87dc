// Package shim hands out the constructor of the Docker Terraform provider.
//
// The constructor lives in an internal package, which Go opens only to packages below the provider's own
// module path. That is why this module is named as it is, although it is part of another project.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"

	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// New returns the provider, not configured yet; version is what it tells the engine as its user agent.
func New(version string) *schema.Provider { return provider.New(version)() }
