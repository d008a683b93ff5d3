// The conversation, with the client that openapi-generator makes for Go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	central "client/central"
)

func integration(name, password string) central.StorageImageIntegration {
	made := central.NewStorageImageIntegration(
		name, "docker", []central.StorageImageIntegrationCategory{central.REGISTRY})
	made.SetSkipTestIntegration(true)
	made.SetDocker(central.StorageDockerConfig{
		Endpoint: central.PtrString("registry.example.com"),
		Username: central.PtrString("robot"),
		Password: &password,
	})
	return *made
}

func must[T any](answer T, _ *http.Response, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

func refused[T any](_ T, response *http.Response, err error) []any {
	var failure *central.GenericOpenAPIError
	if !errors.As(err, &failure) {
		panic(err)
	}
	status := failure.Model().(central.GooglerpcStatus)
	return []any{response.StatusCode, status.Code, status.Message}
}

func main() {
	configuration := central.NewConfiguration()
	configuration.Servers[0].URL = os.Args[1]
	configuration.AddDefaultHeader("Authorization", "Bearer "+os.Args[2])
	api, ctx := central.NewAPIClient(configuration).ImageIntegrationServiceAPI, context.Background()

	const secret = "not-a-real-password"
	created := must(api.PostImageIntegration(ctx).StorageImageIntegration(integration("created", secret)).Execute())
	id := created.GetId()
	listed := must(api.GetImageIntegrations(ctx).Execute()).Integrations
	found := must(api.GetImageIntegrations(ctx).Name("created").Execute()).Integrations
	must(api.PutImageIntegration(ctx, id).StorageImageIntegration(integration("put", secret)).Execute())
	read := must(api.GetImageIntegration(ctx, id).Execute())
	read.Name = "kept"
	kept := central.V1UpdateImageIntegrationRequest{Config: *read, UpdatePassword: central.PtrBool(false)}
	must(api.UpdateImageIntegration(ctx, id).V1UpdateImageIntegrationRequest(kept).Execute())
	changed := central.V1UpdateImageIntegrationRequest{
		Config: integration("patched", "another"), UpdatePassword: central.PtrBool(true)}
	must(api.UpdateImageIntegration(ctx, id).V1UpdateImageIntegrationRequest(changed).Execute())
	must(api.TestImageIntegration(ctx).StorageImageIntegration(integration("tested", secret)).Execute())
	must(api.TestUpdatedImageIntegration(ctx).V1UpdateImageIntegrationRequest(kept).Execute())
	token := central.ECRConfigAuthorizationData{Username: central.PtrString("AWS"), Password: central.PtrString("p")}
	token.SetExpiresAt(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	ecr := central.StorageECRConfig{RegistryId: central.PtrString("123456789012"), Region: central.PtrString("us-east-1")}
	ecr.SetAuthorizationData(token)
	asked := integration("expiring", "")
	asked.Type, asked.Docker, asked.Ecr = "ecr", nil, &ecr
	expiring := must(api.PostImageIntegration(ctx).StorageImageIntegration(asked).Execute())
	invalid := integration("invalid", secret)
	invalid.Categories = []central.StorageImageIntegrationCategory{}

	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"created": []any{created.Type, created.Docker.GetPassword(), created.Categories, created.Source.Get()},
		"listed":  len(listed),
		"found":   len(found) == 1 && found[0].GetId() == id,
		"last":    must(api.GetImageIntegration(ctx, id).Execute()).Name,
		"expires": expiring.Ecr.AuthorizationData.Get().GetExpiresAt().Unix(),
		"invalid": refused(api.PostImageIntegration(ctx).StorageImageIntegration(invalid).Execute()),
		"deleted": must(api.DeleteImageIntegration(ctx, id).Execute()),
		"gone":    refused(api.GetImageIntegration(ctx, id).Execute()),
	})
}
