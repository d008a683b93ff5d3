"""The conversation, with the client that openapi-generator makes for Python."""

import json
import sys
from datetime import UTC, datetime

from central import ApiClient, ApiException, Configuration, ImageIntegrationServiceApi, models

URL, TOKEN = sys.argv[1:]
client = ApiClient(Configuration(host=URL))
client.set_default_header("Authorization", f"Bearer {TOKEN}")
api = ImageIntegrationServiceApi(client)


def integration(name, password="not-a-real-password", **more):
    docker = models.StorageDockerConfig(endpoint="registry.example.com", username="robot", password=password)
    given = {"type": "docker", "categories": ["REGISTRY"], "skip_test_integration": True, "docker": docker}
    return models.StorageImageIntegration(**{"name": name} | given | more)


def refused(operation, *args):
    try:
        operation(*args)
    except ApiException as error:
        return [error.status, error.data.code, error.data.message]
    raise AssertionError(operation)


created = api.post_image_integration(integration("created"))
id = created.id
listed = api.get_image_integrations().integrations
(found,) = api.get_image_integrations(name="created").integrations
api.put_image_integration(id, integration("put"))
read = api.get_image_integration(id)
read.name = "kept"
kept = models.V1UpdateImageIntegrationRequest(config=read, update_password=False)
api.update_image_integration(id, kept)
changed = models.V1UpdateImageIntegrationRequest(config=integration("patched", "another"), update_password=True)
api.update_image_integration(id, changed)
api.test_image_integration(integration("tested"))
api.test_updated_image_integration(kept)
expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
login = models.ECRConfigAuthorizationData(username="AWS", password="p", expires_at=expires)
ecr = models.StorageECRConfig(registry_id="123456789012", region="us-east-1", authorization_data=login)
expiring = api.post_image_integration(integration("expiring", type="ecr", docker=None, ecr=ecr))
report = {
    "created": [created.type, created.docker.password, created.categories, created.source],
    "listed": len(listed),
    "found": found.id == id,
    "last": api.get_image_integration(id).name,
    "expires": int(expiring.ecr.authorization_data.expires_at.timestamp()),
    "invalid": refused(api.post_image_integration, integration("invalid", categories=[])),
    "deleted": api.delete_image_integration(id),
    "gone": refused(api.get_image_integration, id),
}
print(json.dumps(report))
