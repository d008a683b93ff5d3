// What to type into the form of each type of image integration.
//
// prefix      of the ids of the inputs
// fill        what makes an integration, by the path of the field
// secrets     typed on create, and with other values when the stored credentials are replaced
// plain       fields among the secrets that the server shows
// edit        what may change while the credentials stay: {} renames the integration
// guarded     what may not, because the credentials are sent to it or used with it
// fails       the field that leads the connection test to the host that cannot be reached
// toggle      a button to press besides
// direct      no button leads to the form, only its address does
// columns     what the row of the list shows

import { generateKeyPairSync } from 'node:crypto';

// Google's library signs with the key before it asks anybody.
const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const account = { type: 'service_account', private_key_id: 'first-key', private_key: privateKey, client_email: 'robot@example.com' };

const docker = (endpoint, more = {}) => ({
  prefix: 'config.',
  fill: { 'docker.endpoint': endpoint, 'docker.username': 'robot' },
  secrets: { 'docker.password': 'first-password' },
  edit: {},
  guarded: 'docker.endpoint',
  fails: 'docker.endpoint',
  columns: [endpoint, 'robot'],
  ...more,
});

const google = (endpoint, more = {}) => ({
  prefix: 'config.',
  fill: { 'google.endpoint': endpoint, 'google.project': 'demo-project' },
  secrets: { 'google.serviceAccount': JSON.stringify(account) },
  edit: { 'google.project': 'another-project' },
  guarded: 'google.endpoint',
  fails: 'google.endpoint',
  columns: [endpoint, 'demo-project'],
  ...more,
});

const withoutSecrets = (member, more = {}) => ({
  prefix: '',
  fill: { [`${member}.endpoint`]: 'https://scanner.example.com:8080' },
  edit: { [`${member}.endpoint`]: 'https://another.example.com:8080' },
  fails: `${member}.endpoint`,
  columns: ['https://scanner.example.com:8080'],
  ...more,
});

export const FORMS = {
  docker: docker('registry.example.com'),
  ecr: {
    prefix: 'config.',
    fill: { 'ecr.registryId': '012345678901', 'ecr.region': 'us-east-1' },
    secrets: { 'ecr.accessKeyId': 'first-id', 'ecr.secretAccessKey': 'first-key' },
    edit: { 'ecr.region': 'eu-west-1' },
    guarded: 'ecr.endpoint',
    fails: 'ecr.endpoint',
    columns: ['012345678901', 'us-east-1', 'False'],
  },
  artifactregistry: google('us-docker.pkg.dev'),
  azure: {
    prefix: 'config.',
    fill: { 'azure.endpoint': 'demo.azurecr.io', 'azure.username': 'robot' },
    secrets: { 'azure.password': 'first-password' },
    edit: {},
    guarded: 'azure.endpoint',
    fails: 'azure.endpoint',
    columns: ['demo.azurecr.io', 'robot'],
  },
  artifactory: docker('demo.jfrog.io'),
  quay: {
    prefix: 'config.',
    fill: { 'quay.endpoint': 'quay.example.com' },
    toggle: 'Registry + Scanner',
    secrets: {
      'quay.oauthToken': 'first-token',
      'quay.registryRobotCredentials.username': 'organization+robot',
      'quay.registryRobotCredentials.password': 'first-password',
    },
    plain: ['quay.registryRobotCredentials.username'],
    edit: {},
    guarded: 'quay.endpoint',
    fails: 'quay.endpoint',
    columns: ['quay.example.com', 'Registry + Scanner'],
  },
  clairV4: withoutSecrets('clairV4'),
  nexus: docker('nexus.example.com'),
  ibm: {
    prefix: 'config.',
    fill: { 'ibm.endpoint': 'us.icr.io' },
    secrets: { 'ibm.apiKey': 'first-key' },
    edit: {},
    guarded: 'ibm.endpoint',
    fails: 'ibm.endpoint',
    columns: ['us.icr.io'],
  },
  rhel: docker('registry.access.redhat.com'),
  ghcr: docker('https://ghcr.io'),
  clairify: withoutSecrets('clairify', { toggle: 'Image Scanner + Node Scanner' }),
  clair: withoutSecrets('clair'),
  google: google('gcr.io', { direct: true }),
};

export const LABELS = {
  docker: 'Generic Docker Registry',
  ecr: 'Amazon ECR',
  artifactregistry: 'Google Artifact Registry',
  azure: 'Microsoft ACR',
  artifactory: 'JFrog Artifactory',
  quay: 'Quay.io',
  clairV4: 'Clair v4',
  nexus: 'Sonatype Nexus',
  ibm: 'IBM Cloud',
  rhel: 'Red Hat',
  ghcr: 'GitHub Container Registry',
  clairify: '[DEPRECATED] StackRox Scanner',
  clair: '[DEPRECATED] CoreOS Clair',
  google: '[DEPRECATED] Google Container Registry',
  scannerv4: 'Scanner V4',
};
