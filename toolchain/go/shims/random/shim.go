// Package shim hands out the constructor of the random Terraform provider.
//
// The constructor lives in an internal package, which Go opens only to packages below the provider's own
// module path. That is why this module is named as it is, although it is part of another project.
package shim

import (
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"

	"github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// New returns the provider, not configured yet.
func New() fwprovider.Provider { return provider.New() }
