// Command pulumi-resource-docker serves the Docker Terraform provider to Pulumi, under the resource and field
// names of the published Pulumi SDK. The SDK's docker.Image, which is not from Terraform, is left out.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/terraform-providers/terraform-provider-docker/shim"
)

// dockerVersion is set by the linker, together with the variables of the other programs: hence the long name.
// The bridge refuses to serve while it is empty.
var dockerVersion string

func main() {
	empty := []byte("{}")
	info := tfbridge.ProviderInfo{
		P:            sdkv2.NewProvider(shim.New(dockerVersion)),
		Name:         "docker",
		Version:      dockerVersion,
		Config:       keep("registry_auth"),
		MetadataInfo: tfbridge.NewProviderMetadata(empty),
	}
	info.Resources = map[string]*tfbridge.ResourceInfo{
		"docker_image":  {Tok: "docker:index/remoteImage:RemoteImage", Fields: keep("name")},
		"docker_config": {Tok: "docker:index/serviceConfig:ServiceConfig"},
		"docker_container": {
			Tok:    "docker:index/container:Container",
			Fields: keep("command", "networks_advanced"),
			// A container's name and ports are taken until the old one is gone.
			DeleteBeforeReplace: true,
		},
	}
	info.DataSources = map[string]*tfbridge.DataSourceInfo{
		"docker_image": {Tok: "docker:index/getRemoteImage:getRemoteImage"},
	}
	info.MustComputeTokens(tokens.SingleModule("docker_", "index", tokens.MakeStandard("docker")))
	info.SetAutonaming(255, "-")
	tfbridge.Main("docker", dockerVersion, info, empty)
}

// keep stops the bridge from making a list's name a plural.
func keep(fields ...string) map[string]*tfbridge.SchemaInfo {
	kept := map[string]*tfbridge.SchemaInfo{}
	for _, field := range fields {
		kept[field] = &tfbridge.SchemaInfo{Name: tfbridge.TerraformToPulumiNameV2(field, nil, nil)}
	}
	return kept
}
