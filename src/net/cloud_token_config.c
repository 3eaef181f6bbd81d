// SPDX-License-Identifier: Apache-2.0
// The blocks azuread and google_iam of remote_write. Error texts are those of prometheus/storage/remote/azuread.
#include <ctype.h>
#include <stddef.h>

#include "net/http_client.h"

#define FIELD(name, of_kind, help_text)                                                            \
    {                                                                                              \
        .key = #name, .kind = of_kind, .offset = offsetof(OWNER, name), .help = help_text          \
    }

#define OWNER HttpAzureIdentity
static const ConfigField managed_fields[] = {
    FIELD(client_id, CONFIG_STR, "ID of a user-assigned identity; the machine's own if empty"),
};
static const ConfigField workload_fields[] = {
    FIELD(client_id, CONFIG_STR, "ID of the application"),
    FIELD(tenant_id, CONFIG_STR, "ID of the tenant"),
    FIELD(token_file_path, CONFIG_STR, "token of the service account; the webhook's if empty"),
};
static const ConfigField oauth_fields[] = {
    FIELD(client_id, CONFIG_STR, "ID of the application"),
    FIELD(client_secret, CONFIG_SECRET, "its secret"),
    FIELD(tenant_id, CONFIG_STR, "ID of the tenant"),
};
static const ConfigField sdk_fields[] = {
    FIELD(tenant_id, CONFIG_STR, "ID of the tenant; the environment's if empty"),
};
static const ConfigField certificate_fields[] = {
    FIELD(client_id, CONFIG_STR, "ID of the application"),
    FIELD(tenant_id, CONFIG_STR, "ID of the tenant"),
    FIELD(certificate_path, CONFIG_STR, "certificate, with its key or without; PEM or PKCS #12"),
    FIELD(certificate_key_path, CONFIG_STR, "the key in PEM"),
    FIELD(certificate_password, CONFIG_SECRET, "of a PKCS #12 file"),
    FIELD(send_certificate_chain, CONFIG_BOOL, "show the certificates, too"),
};
#undef OWNER

static bool is_uuid(Str text)
{
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : !isxdigit((unsigned char)text.ptr[i]))
            return false;
    }
    return true;
}

// Characters of a scope or of a tenant's name.
static bool has_only(Str text, const char *more)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && !(text.ptr[i] && strchr(more, text.ptr[i])))
            return false;
    return true;
}

static bool need(ConfigReader *reader, const YamlNode *node, const char *what, const char *key,
                 Str value, Error *err)
{
    return value.len > 0 ||
           config_error(reader, node, err, "must provide an Azure %s %s in the Azure AD config",
                        what, key);
}

static bool check_id(ConfigReader *reader, const YamlNode *node, const char *what, const char *key,
                     bool is_good, Error *err)
{
    return is_good ||
           config_error(reader, node, err, "the provided Azure %s %s is invalid", what, key);
}

static bool finish_managed(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpAzureIdentity *identity = object;
    return check_id(reader, node, "Managed Identity", "client_id",
                    identity->client_id.len == 0 || is_uuid(identity->client_id), err);
}

// Of an application: both IDs are needed.
static bool check_application(ConfigReader *reader, const YamlNode *node, const char *what,
                              const HttpAzureIdentity *identity, Error *err)
{
    return need(reader, node, what, "client_id", identity->client_id, err) &&
           need(reader, node, what, "tenant_id", identity->tenant_id, err) &&
           check_id(reader, node, what, "client_id", is_uuid(identity->client_id), err) &&
           check_id(reader, node, what, "tenant_id", has_only(identity->tenant_id, "-."), err);
}

static bool finish_workload(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpAzureIdentity *identity = object;
    return check_application(reader, node, "Workload Identity", identity, err) &&
           check_id(reader, node, "Workload Identity", "tenant_id", is_uuid(identity->tenant_id),
                    err);
}

static bool finish_oauth(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpAzureIdentity *identity = object;
    return need(reader, node, "OAuth", "client_secret", identity->client_secret, err) &&
           check_application(reader, node, "OAuth", identity, err);
}

static bool finish_sdk(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpAzureIdentity *identity = object;
    return check_id(reader, node, "SDK", "tenant_id", has_only(identity->tenant_id, "-."), err);
}

static bool finish_certificate(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const HttpAzureIdentity *identity = object;
    return check_application(reader, node, "Certificate", identity, err) &&
           need(reader, node, "Certificate", "certificate_path", identity->certificate_path, err);
}

static const ConfigTable managed_table =
    CONFIG_TABLE(HttpAzureIdentity, "azuread_managed_identity", managed_fields, finish_managed);
static const ConfigTable workload_table =
    CONFIG_TABLE(HttpAzureIdentity, "azuread_workload_identity", workload_fields, finish_workload);
static const ConfigTable oauth_table =
    CONFIG_TABLE(HttpAzureIdentity, "azuread_oauth", oauth_fields, finish_oauth);
static const ConfigTable sdk_table =
    CONFIG_TABLE(HttpAzureIdentity, "azuread_sdk", sdk_fields, finish_sdk);
static const ConfigTable certificate_table =
    CONFIG_TABLE(HttpAzureIdentity, "azuread_certificate", certificate_fields, finish_certificate);

#define WAY(name, of_table, help_text)                                                             \
    {                                                                                              \
        .key = #name, .kind = CONFIG_STRUCT_PTR, .offset = offsetof(HttpAzureadConfig, name),      \
        .table = &(of_table), .help = help_text                                                    \
    }
#define OWNER HttpAzureadConfig
static const ConfigField azuread_fields[] = {
    WAY(managed_identity, managed_table, "the identity of the machine"),
    WAY(workload_identity, workload_table, "the service account of a Kubernetes pod"),
    WAY(oauth, oauth_table, "an application with a secret"),
    WAY(sdk, sdk_table, "what the environment says"),
    WAY(certificate, certificate_table, "an application with a certificate"),
    {.key = "cloud",
     .kind = CONFIG_STR,
     .offset = offsetof(HttpAzureadConfig, cloud),
     .default_text = "AzurePublic",
     .help = "AzurePublic, AzureChina or AzureGovernment"},
    FIELD(scope, CONFIG_STR, "what the token is for; the cloud's Azure Monitor if empty"),
};
#undef OWNER

static bool finish_azuread(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    HttpAzureadConfig *config = object;
    int ways = !!config->managed_identity + !!config->workload_identity + !!config->oauth +
               !!config->sdk + !!config->certificate;
    if (config->cloud.len == 0)
        config->cloud = S("AzurePublic");
    if (!str_is(config->cloud, "AzurePublic") && !str_is(config->cloud, "AzureChina") &&
        !str_is(config->cloud, "AzureGovernment"))
        return config_error(reader, node, err, "must provide a cloud in the Azure AD config");
    if (ways == 0)
        return config_error(reader, node, err,
                            "must provide an Azure Managed Identity, Azure Workload Identity, "
                            "Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config");
    if (ways > 1)
        return config_error(reader, node, err,
                            "cannot provide multiple authentication methods in the Azure AD "
                            "config");
    return has_only(config->scope, "_ \t:/.-") ||
           config_error(reader, node, err, "the provided scope contains invalid characters");
}

const ConfigTable http_azuread_config_table =
    CONFIG_TABLE(HttpAzureadConfig, "azuread", azuread_fields, finish_azuread);

#define OWNER HttpGoogleIamConfig
static const ConfigField google_fields[] = {
    FIELD(credentials_file, CONFIG_STR,
          "credentials in JSON; looked for where Google's tools look if empty"),
};
#undef OWNER
const ConfigTable http_google_iam_config_table =
    CONFIG_TABLE(HttpGoogleIamConfig, "google_iam", google_fields, NULL);
