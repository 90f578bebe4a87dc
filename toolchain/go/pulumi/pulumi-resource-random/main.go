// Command pulumi-resource-random serves the random Terraform provider to Pulumi, under the resource names of
// the published Pulumi SDK.
package main

import (
	"context"

	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/terraform-providers/terraform-provider-random/shim"
)

// randomVersion is set by the linker, together with the variables of the other programs: hence the long name.
// The bridge refuses to serve while it is empty.
var randomVersion string

func main() {
	empty := []byte("{}")
	info := tfbridge.ProviderInfo{
		P:            pfbridge.ShimProvider(shim.New()),
		Name:         "random",
		Version:      randomVersion,
		MetadataInfo: tfbridge.NewProviderMetadata(empty),
	}
	// The SDK says RandomPassword where Terraform says random_password.
	name := func(_, resource string) (string, error) {
		return tokens.MakeStandard("random")("index", "Random"+resource)
	}
	info.MustComputeTokens(tokens.SingleModule("random_", "index", name))
	pfbridge.Main(context.Background(), "random", info, pfbridge.ProviderMetadata{PackageSchema: empty})
}
