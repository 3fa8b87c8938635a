"""A Kafka that wants certificates at one listener, and users with passwords at two others."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from config.services.kafka import Kafka
from config.services.ports import LOOPBACK, Port

USERS = {"stockroom": "right-and-long", "nobody": "has-no-rights"}
SECURED = ("SSL", "HEROKU", "SASL_SSL", "SASL_PLAINTEXT")


class SecureKafka(Kafka):
    """Beside the plain listener of the broker itself those of SECURED, on ports of their own.

    SSL wants a certificate of `clients` and shows one for 127.0.0.1; so does HEROKU, but with a
    certificate for another host; SASL_SSL and SASL_PLAINTEXT take PLAIN and SCRAM-SHA-512. Who
    comes by certificate, plainly or as "stockroom" may do everything, "nobody" nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.authority, self.clients = trustme.CA(), trustme.CA()
        self.ports = {name: Port() for name in SECURED}
        users = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
        stores = {}
        for name, host in (("SSL", LOOPBACK), ("HEROKU", "kafka.example"), ("SASL_SSL", LOOPBACK)):
            stores |= {
                f"listener.name.{name.lower()}.ssl.{key}": value
                for key, value in self._stores(folder, host).items()
            }
        super().__init__(
            folder,
            settings={
                **stores,
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "SSL:SSL,HEROKU:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
                "listener.name.ssl.ssl.client.auth": "required",
                "listener.name.heroku.ssl.client.auth": "required",
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                **{
                    f"listener.name.{name}.plain.sasl.jaas.config": "org.apache.kafka.common."
                    f"security.plain.PlainLoginModule required {users};"
                    for name in ("sasl_ssl", "sasl_plaintext")
                },
                **{
                    f"listener.name.{name}.scram-sha-512.sasl.jaas.config": "org.apache.kafka."
                    "common.security.scram.ScramLoginModule required;"
                    for name in ("sasl_ssl", "sasl_plaintext")
                },
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS;User:stockroom",
                "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]*).*$/$1/",
                "connection.failed.authentication.delay.ms": "0",
                "group.min.session.timeout.ms": "1000",
            },
        )

    def at(self, listener: str, host: str = LOOPBACK) -> str:
        """host:port of one of SECURED."""
        return f"{host}:{self.ports[listener].number}"

    def certificate(self, authority: trustme.CA) -> tuple[str, str]:
        """A client's certificate and key as PEM texts."""
        made = authority.issue_cert("client.example", common_name="stockroom")
        chain = "".join(part.bytes().decode() for part in made.cert_chain_pems)
        return chain, made.private_key_pem.bytes().decode()

    def set_password(self, user: str, password: str) -> None:
        """That of SCRAM-SHA-512; that of PLAIN stands in USERS."""
        with self._admin() as admin:
            sha512 = ScramMechanism.SCRAM_SHA_512
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(user, sha512, password=password, iterations=4096)]
            )

    def allow_all(self, user: str) -> None:
        """Let `user` do everything."""
        kinds = (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID)
        patterns = [ResourcePattern(kind, "*") for kind in kinds]
        patterns.append(ResourcePattern(ResourceType.CLUSTER, "kafka-cluster"))
        with self._admin() as admin:
            admin.create_acls(
                [
                    ACL(f"User:{user}", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern)
                    for pattern in patterns
                ]
            )

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=f"{LOOPBACK}:{self.port}")

    def close(self) -> None:
        super().close()
        for port in self.ports.values():
            port.close()

    def _stores(self, folder: Path, host: str) -> dict[str, str]:
        """Key and trust store of a listener with a certificate for `host`."""
        made = self.authority.issue_cert(host)
        # Java reads keys as PKCS #8 only.
        key = load_pem_private_key(made.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        own, trusted = folder / f"{host}.pem", folder / "clients.pem"
        own.write_bytes(key + b"".join(part.bytes() for part in made.cert_chain_pems))
        self.clients.cert_pem.write_to_path(str(trusted))
        return {
            "keystore.type": "PEM",
            "keystore.location": str(own),
            "truststore.type": "PEM",
            "truststore.location": str(trusted),
        }

    def _prepare(self) -> None:
        super()._prepare()
        plain = {"PLAINTEXT": self.port, "CONTROLLER": self._controller.number}
        ports = plain | {name: port.number for name, port in self.ports.items()}
        all_of_them = [f"{name}://{LOOPBACK}:{number}" for name, number in ports.items()]
        advertised = [each for each in all_of_them if not each.startswith("CONTROLLER")]
        with self._properties.open("a") as file:  # of two lines of one name the last one counts
            file.write(f"listeners={','.join(all_of_them)}\n")
            file.write(f"advertised.listeners={','.join(advertised)}\n")
