// The conversation, with the client that oapi-codegen makes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"client/central"
)

func ptr[T any](value T) *T { return &value }

func integration(name, password string) central.StorageImageIntegration {
	return central.StorageImageIntegration{
		Name:                name,
		Type:                "docker",
		Categories:          []central.StorageImageIntegrationCategory{central.REGISTRY},
		SkipTestIntegration: ptr(true),
		Docker: &central.StorageDockerConfig{
			Endpoint: ptr("registry.example.com"),
			Username: ptr("robot"),
			Password: &password,
		},
	}
}

func must[T interface{ StatusCode() int }](answer T, err error) T {
	if err != nil || answer.StatusCode() != http.StatusOK {
		panic(fmt.Sprint(answer, err))
	}
	return answer
}

func refused(status int, answer *central.GooglerpcStatus) []any {
	return []any{status, answer.Code, answer.Message}
}

func main() {
	login := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+os.Args[2])
		return nil
	}
	api, err := central.NewClientWithResponses(os.Args[1], central.WithRequestEditorFn(login))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	const secret = "not-a-real-password"
	created := must(api.PostImageIntegrationWithResponse(ctx, integration("created", secret))).JSON200
	id := *created.Id
	listed := must(api.GetImageIntegrationsWithResponse(ctx, nil)).JSON200.Integrations
	named := &central.GetImageIntegrationsParams{Name: ptr("created")}
	found := must(api.GetImageIntegrationsWithResponse(ctx, named)).JSON200.Integrations
	must(api.PutImageIntegrationWithResponse(ctx, id, integration("put", secret)))
	read := must(api.GetImageIntegrationWithResponse(ctx, id)).JSON200
	read.Name = "kept"
	kept := central.V1UpdateImageIntegrationRequest{Config: *read, UpdatePassword: ptr(false)}
	must(api.UpdateImageIntegrationWithResponse(ctx, id, kept))
	changed := central.V1UpdateImageIntegrationRequest{
		Config: integration("patched", "another"), UpdatePassword: ptr(true)}
	must(api.UpdateImageIntegrationWithResponse(ctx, id, changed))
	must(api.TestImageIntegrationWithResponse(ctx, integration("tested", secret)))
	must(api.TestUpdatedImageIntegrationWithResponse(ctx, kept))
	asked := integration("expiring", "")
	asked.Type, asked.Docker, asked.Ecr = "ecr", nil, &central.StorageECRConfig{
		RegistryId: ptr("123456789012"),
		Region:     ptr("us-east-1"),
		AuthorizationData: &central.ECRConfigAuthorizationData{
			Username:  ptr("AWS"),
			Password:  ptr("p"),
			ExpiresAt: ptr(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)),
		},
	}
	expiring := must(api.PostImageIntegrationWithResponse(ctx, asked)).JSON200
	wrong := integration("invalid", secret)
	wrong.Categories = []central.StorageImageIntegrationCategory{}
	invalid, err := api.PostImageIntegrationWithResponse(ctx, wrong)
	if err != nil {
		panic(err)
	}
	last := must(api.GetImageIntegrationWithResponse(ctx, id)).JSON200.Name
	deleted := must(api.DeleteImageIntegrationWithResponse(ctx, id)).JSON200
	gone, err := api.GetImageIntegrationWithResponse(ctx, id)
	if err != nil {
		panic(err)
	}

	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"created": []any{created.Type, created.Docker.Password, created.Categories, created.Source},
		"listed":  len(listed),
		"found":   len(found) == 1 && *found[0].Id == id,
		"last":    last,
		"expires": expiring.Ecr.AuthorizationData.ExpiresAt.Unix(),
		"invalid": refused(invalid.StatusCode(), invalid.JSON400),
		"deleted": deleted,
		"gone":    refused(gone.StatusCode(), gone.JSON404),
	})
}
