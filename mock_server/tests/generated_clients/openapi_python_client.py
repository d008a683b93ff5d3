"""The conversation, with the client that openapi-python-client makes."""

import json
import sys
from datetime import UTC, datetime

from central import Client, models
from central.api.image_integration_service import (
    delete_image_integration,
    get_image_integration,
    get_image_integrations,
    post_image_integration,
    put_image_integration,
    test_image_integration,
    test_updated_image_integration,
    update_image_integration,
)
from central.types import UNSET

URL, TOKEN = sys.argv[1:]
client = Client(base_url=URL, headers={"Authorization": f"Bearer {TOKEN}"}, raise_on_unexpected_status=True)


def integration(name, password="not-a-real-password", **more):
    docker = models.StorageDockerConfig(endpoint="registry.example.com", username="robot", password=password)
    registry = [models.StorageImageIntegrationCategory.REGISTRY]
    given = {"type_": "docker", "categories": registry, "skip_test_integration": True, "docker": docker}
    return models.StorageImageIntegration(**{"name": name} | given | more)


def done(operation, *args, **kwargs):
    answer = operation.sync_detailed(*args, client=client, **kwargs)
    assert answer.status_code == 200, answer
    return answer.parsed


def refused(operation, *args, **kwargs):
    answer = operation.sync_detailed(*args, client=client, **kwargs)
    assert isinstance(answer.parsed, models.GooglerpcStatus)
    return [answer.status_code, answer.parsed.code, answer.parsed.message]


created = done(post_image_integration, body=integration("created"))
id = created.id
listed = done(get_image_integrations).integrations
(found,) = done(get_image_integrations, name="created").integrations
done(put_image_integration, id, body=integration("put"))
read = done(get_image_integration, id)
read.name = "kept"
kept = models.V1UpdateImageIntegrationRequest(config=read, update_password=False)
done(update_image_integration, id, body=kept)
changed = models.V1UpdateImageIntegrationRequest(config=integration("patched", "another"), update_password=True)
done(update_image_integration, id, body=changed)
done(test_image_integration, body=integration("tested"))
done(test_updated_image_integration, body=kept)
expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
login = models.ECRConfigAuthorizationData(username="AWS", password="p", expires_at=expires)
ecr = models.StorageECRConfig(registry_id="123456789012", region="us-east-1", authorization_data=login)
given = integration("expiring", type_="ecr", ecr=ecr)
given.docker = UNSET
expiring = done(post_image_integration, body=given)
report = {
    "created": [created.type_, created.docker.password, created.categories, created.source],
    "listed": len(listed),
    "found": found.id == id,
    "last": done(get_image_integration, id).name,
    "expires": int(expiring.ecr.authorization_data.expires_at.timestamp()),
    "invalid": refused(post_image_integration, body=integration("invalid", categories=[])),
    "deleted": done(delete_image_integration, id).to_dict(),
    "gone": refused(get_image_integration, id),
}
print(json.dumps(report))
