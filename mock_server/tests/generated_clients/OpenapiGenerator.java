// The conversation, with the client that openapi-generator makes for Java.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.OffsetDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import central.*;
import central.api.ImageIntegrationServiceApi;
import central.model.*;

public class OpenapiGenerator {
    interface Call {
        Object run() throws ApiException;
    }

    static final ObjectMapper JSON = new ObjectMapper();

    static StorageImageIntegration integration(String name, String password) {
        return new StorageImageIntegration()
            .name(name)
            .type("docker")
            .categories(List.of(StorageImageIntegrationCategory.REGISTRY))
            .skipTestIntegration(true)
            .docker(new StorageDockerConfig().endpoint("registry.example.com").username("robot").password(password));
    }

    static StorageImageIntegration integration(String name) {
        return integration(name, "not-a-real-password");
    }

    static List<Object> refused(Call call) throws Exception {
        try {
            call.run();
        } catch (ApiException error) {
            GooglerpcStatus status = JSON.readValue(error.getResponseBody(), GooglerpcStatus.class);
            return List.of(error.getCode(), status.getCode(), status.getMessage());
        }
        throw new AssertionError("not refused");
    }

    public static void main(String[] words) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(words[0]);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + words[1]));
        ImageIntegrationServiceApi api = new ImageIntegrationServiceApi(client);

        StorageImageIntegration created = api.postImageIntegration(integration("created"));
        String id = created.getId();
        int listed = api.getImageIntegrations(null, null).getIntegrations().size();
        StorageImageIntegration found = api.getImageIntegrations("created", null).getIntegrations().get(0);
        api.putImageIntegration(id, integration("put"));
        StorageImageIntegration read = api.getImageIntegration(id).name("kept");
        V1UpdateImageIntegrationRequest kept = new V1UpdateImageIntegrationRequest().config(read).updatePassword(false);
        api.updateImageIntegration(id, kept);
        api.updateImageIntegration(
            id, new V1UpdateImageIntegrationRequest().config(integration("patched", "another")).updatePassword(true));
        api.testImageIntegration(integration("tested"));
        api.testUpdatedImageIntegration(kept);
        ECRConfigAuthorizationData token = new ECRConfigAuthorizationData()
            .username("AWS")
            .password("p")
            .expiresAt(OffsetDateTime.parse("2030-01-02T03:04:05Z"));
        StorageECRConfig ecr = new StorageECRConfig()
            .registryId("123456789012")
            .region("us-east-1")
            .authorizationData(token);
        StorageImageIntegration expiring =
            api.postImageIntegration(integration("expiring").type("ecr").docker(null).ecr(ecr));

        Map<String, Object> report = new LinkedHashMap<>();
        Object[] shown = {
            created.getType(), created.getDocker().getPassword(), created.getCategories(), created.getSource()
        };
        report.put("created", shown);
        report.put("listed", listed);
        report.put("found", found.getId().equals(id));
        report.put("last", api.getImageIntegration(id).getName());
        report.put("expires", expiring.getEcr().getAuthorizationData().getExpiresAt().toEpochSecond());
        report.put("invalid", refused(() -> api.postImageIntegration(integration("invalid").categories(List.of()))));
        report.put("deleted", api.deleteImageIntegration(id));
        report.put("gone", refused(() -> api.getImageIntegration(id)));
        System.out.println(JSON.writeValueAsString(report));
    }
}
