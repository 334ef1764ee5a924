"""Policies, certificates, the trust list and users, against a server; and `isthmus certs`."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner, Result

from isthmus.base.clock import SystemClock
from isthmus.cli import app
from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua import OpcuaConnector, OpcuaSource, certificates
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.flow.parcel import GOOD
from isthmus.testing.connector_suite import opened, read_until
from isthmus.testing.opcua_server import OpcuaServer, Papers, papers
from isthmus.testing.tcp_proxy import LOOPBACK, TcpProxy

STATE = "ns=2;s=IM07.State"
VARIABLES = {STATE: ua.Variant(3, ua.VariantType.Int32)}
PASSWORD = "moulding"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER: dict[str, Any] = {"user": "isthmus", "password": PASSWORD}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("ISTHMUS_DATA", str(folder))
    return folder


@pytest.fixture
def folder(data: Path) -> TrustFolder:
    return TrustFolder(data / "certificates" / "opcua")


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="module")
def servers_papers(drawer: Path) -> Papers:
    return papers(drawer, "server")


@pytest.fixture(scope="module")
def users_papers(drawer: Path) -> Papers:
    return papers(drawer, "user")


@pytest.fixture(scope="module")
def our_key() -> rsa.RSAPrivateKey:
    return certificates.new_key()


@pytest.fixture(scope="module")
def secured(servers_papers: Papers, users_papers: Papers) -> Iterator[OpcuaServer]:
    with OpcuaServer(
        VARIABLES,
        users={"isthmus": PASSWORD},
        user_certificates=[users_papers.certificate],
        **servers_papers._asdict(),
    ) as running:
        yield running


@pytest.fixture
def ours(folder: TrustFolder, our_key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Our certificate, made as `isthmus certs create` makes it."""
    year = timedelta(days=365)
    made = certificates.issue(our_key, "plant-pc", now=datetime.now(UTC), valid=year)
    folder.keep(made, our_key)
    return made


def connector(port: int, **keys: Any) -> OpcuaConnector:
    usual: dict[str, Any] = {"interval": "50 ms", "timeout": "2 s", "security": "sign_and_encrypt"}
    spec = OpcuaSource(endpoint=f"opc.tcp://{LOOPBACK}:{port}", **(usual | keys))
    return OpcuaConnector("im07", spec, (STATE,), SystemClock())


def certificate(file: Path) -> x509.Certificate:
    return certificates.load(file)[0]


async def refusal(connecting: OpcuaConnector) -> str:
    with pytest.raises(Refused) as refused:
        await connecting.open()
    await connecting.close()
    return str(refused.value)


# Sessions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["sign", "sign_and_encrypt"])
@pytest.mark.parametrize(
    "policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
)
@pytest.mark.usefixtures("ours")
async def test_a_secured_server_is_read_and_the_password_stays_secret(
    secured: OpcuaServer,
    servers_papers: Papers,
    folder: TrustFolder,
    security: str,
    policy: str,
) -> None:
    folder.trust(certificate(servers_papers.certificate))
    async with (
        TcpProxy(secured.port) as proxy,
        opened(connector(proxy.port, security=security, policy=policy, **USER)) as reading,
    ):
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
        assert PASSWORD.encode() not in proxy.sent
        readable = STATE.removeprefix("ns=2;s=").encode() in proxy.sent
    assert readable == (security == "sign")
    assert (sample.value, sample.quality) == (3.0, GOOD)
    assert reading.attention() == []


@pytest.mark.usefixtures("ours")
async def test_a_user_signs_in_with_a_certificate(
    secured: OpcuaServer, servers_papers: Papers, users_papers: Papers
) -> None:
    keys = {
        "server_certificate": servers_papers.certificate,
        "user_certificate": users_papers.certificate,
        "user_private_key": users_papers.private_key,
    }
    async with opened(connector(secured.port, **keys)) as reading:
        (sample,) = await read_until(reading, lambda seen: len(seen) >= 1)
    assert sample.value == 3.0


@pytest.mark.usefixtures("ours")
async def test_a_stranger_with_a_certificate_is_refused(
    secured: OpcuaServer, servers_papers: Papers, drawer: Path
) -> None:
    stranger = papers(drawer, "stranger")
    keys = {
        "server_certificate": servers_papers.certificate,
        "user_certificate": stranger.certificate,
        "user_private_key": stranger.private_key,
    }
    assert "BadUserAccessDenied" in await refusal(connector(secured.port, **keys))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"security": "none"}, "No matching endpoints"),
        ({"password": "forgotten"}, "BadUserAccessDenied"),
        ({"certificate": Path("no.der"), "private_key": Path("no.pem")}, "certificate no.der"),
        ({"server_certificate": Path("nowhere.der")}, "certificate nowhere.der"),
    ],
)
@pytest.mark.usefixtures("ours")
async def test_what_the_server_does_not_accept_is_refused_with_the_reason(
    secured: OpcuaServer,
    servers_papers: Papers,
    folder: TrustFolder,
    keys: dict[str, Any],
    why: str,
) -> None:
    folder.trust(certificate(servers_papers.certificate))
    assert why in await refusal(connector(secured.port, **(USER | keys)))


async def test_without_a_certificate_of_ours_the_command_that_makes_it_is_named(
    secured: OpcuaServer,
) -> None:
    assert "`isthmus certs create` makes one" in await refusal(connector(secured.port))


@pytest.mark.usefixtures("ours")
async def test_a_policy_the_server_does_not_offer_names_those_it_does(
    secured: OpcuaServer, servers_papers: Papers, folder: TrustFolder
) -> None:
    folder.trust(certificate(servers_papers.certificate))
    with OpcuaServer(VARIABLES) as plain:
        said = await refusal(connector(plain.port))
    assert "does not offer `sign_and_encrypt` Basic256Sha256, only `none` None" in said


@pytest.mark.usefixtures("ours")
async def test_a_server_nobody_trusts_is_refused_with_what_to_type_next(
    secured: OpcuaServer, servers_papers: Papers
) -> None:
    said = await refusal(connector(secured.port, **USER))
    print_of = certificates.fingerprint(certificate(servers_papers.certificate))
    assert "is not trusted: `" in said
    assert certificates.grouped(print_of) in said
    assert "type `isthmus certs trust im07`; `isthmus probe im07` tries again" in said


@pytest.mark.usefixtures("ours")
async def test_what_to_type_for_another_server_of_a_set_names_that_server(
    secured: OpcuaServer,
) -> None:
    second = f"opc.tcp://{LOOPBACK}:{secured.port}"
    with pytest.raises(Unreachable, match=f"type `isthmus certs trust {second}`; `isthmus probe"):
        await connector(1, endpoints=[second], **USER).open()


@pytest.mark.usefixtures("ours")
async def test_a_server_with_another_certificate_than_the_spec_names_is_refused(
    secured: OpcuaServer, servers_papers: Papers, folder: TrustFolder, drawer: Path
) -> None:
    folder.trust(certificate(servers_papers.certificate))
    other = papers(drawer, "other").certificate
    said = await refusal(connector(secured.port, server_certificate=other, **USER))
    assert "is not the one that `server_certificate` names" in said


@pytest.mark.usefixtures("ours")
async def test_a_server_whose_certificate_expired_is_refused_with_the_date(
    drawer: Path, folder: TrustFolder
) -> None:
    expired = expired_papers(drawer)
    folder.trust(certificate(expired.certificate))
    with OpcuaServer(VARIABLES, **expired._asdict()) as server:
        said = await refusal(connector(server.port))
    until = certificate(expired.certificate).not_valid_after_utc
    assert f"expired on {until:%Y-%m-%d}" in said
    assert "Is the clock of this computer right?" in said


async def test_our_own_expired_certificate_is_refused_with_the_command_that_renews_it(
    secured: OpcuaServer, folder: TrustFolder, our_key: rsa.RSAPrivateKey
) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    made = certificates.issue(our_key, "plant-pc", now=long_ago, valid=timedelta(days=365))
    folder.keep(made, our_key)
    said = await refusal(connector(secured.port))
    assert "our own certificate isthmus.der expired on 2020-12-31" in said
    assert "`isthmus certs create --renew`" in said


async def test_what_expires_soon_is_said_while_it_still_works(
    secured: OpcuaServer,
    servers_papers: Papers,
    folder: TrustFolder,
    our_key: rsa.RSAPrivateKey,
) -> None:
    folder.trust(certificate(servers_papers.certificate))
    days = timedelta(days=9, minutes=1)
    folder.keep(certificates.issue(our_key, "plant-pc", now=datetime.now(UTC), valid=days), our_key)
    async with opened(connector(secured.port, **USER)) as reading:
        (warning,) = reading.attention()
    assert "our own certificate expires on" in warning
    assert "in 9 days: `isthmus certs create --renew`" in warning


def expired_papers(folder: Path) -> Papers:
    """The driver's own maker begins today, so its key gets a certificate of ours."""
    issued = papers(folder, "expired")
    key = certificates.new_key()
    long_ago = datetime.now(UTC) - timedelta(days=40)
    old = certificates.issue(key, "im07", now=long_ago, valid=timedelta(days=30))
    TrustFolder(folder / "expired").keep(old, key)
    issued.certificate.write_bytes(certificates.der(old))
    issued.private_key.write_bytes((folder / "expired" / "own" / "isthmus.pem").read_bytes())
    return issued


# Whom to believe ---------------------------------------------------------------------------------


def signed(
    name: str,
    issuer: tuple[x509.Certificate, rsa.RSAPrivateKey] | None,
    key: rsa.RSAPrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    """A certificate for `im07.plant`, of an issuer or of itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, with_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=20))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("im07.plant")]), critical=False
        )
        .sign(with_key, hashes.SHA256())
    )  # fmt: skip


def test_an_authority_vouches_through_one_between_for_the_host_it_names(
    our_key: rsa.RSAPrivateKey,
) -> None:
    root = signed("Root", None, our_key, authority=True)
    between = signed("Between", (root, our_key), our_key, authority=True)
    server = signed("IM07", (between, our_key), our_key, authority=False)
    shown = [server, between]
    assert certificates.trusted(shown, [root], "im07.plant", NOW)
    assert certificates.trusted([server], [between], "IM07.plant", NOW)
    assert not certificates.trusted(shown, [root], "im08.plant", NOW)
    assert not certificates.trusted([server], [root], "im07.plant", NOW)
    assert not certificates.trusted(shown, [root], "im07.plant", NOW + timedelta(days=30))


def test_a_machine_vouches_for_nobody_else(our_key: rsa.RSAPrivateKey) -> None:
    machine = signed("IM08", None, our_key, authority=False)
    server = signed("IM07", (machine, our_key), our_key, authority=False)
    assert not certificates.trusted([server], [machine], "im07.plant", NOW)
    assert certificates.trusted([machine], [machine], "anywhere", NOW)


def test_our_certificate_is_an_application_instance_certificate(
    our_key: rsa.RSAPrivateKey,
) -> None:
    made = certificates.issue(our_key, "plant-pc", now=NOW, valid=timedelta(days=365))
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert certificates.application_uri(made) == "urn:plant-pc:isthmus"
    assert all((
        usage.digital_signature, usage.content_commitment, usage.key_encipherment,
        usage.data_encipherment,
    ))  # fmt: skip
    assert certificates.out_of_date(made, NOW) == ""
    assert certificates.out_of_date(made, NOW + timedelta(days=366)) == "expired on 2027-11-22"
    assert certificates.out_of_date(made, NOW - timedelta(days=2)).startswith("is valid only from")
    assert certificates.ends_soon(made, NOW + timedelta(days=340)) == (
        "expires on 2027-11-22, in 25 days"
    )
    assert certificates.ends_soon(made, NOW) == ""


def test_a_server_may_send_its_issuers_behind_its_certificate(our_key: rsa.RSAPrivateKey) -> None:
    root = signed("Root", None, our_key, authority=True)
    server = signed("IM07", (root, our_key), our_key, authority=False)
    sent = certificates.der(server) + certificates.der(root)
    assert list(certificates.chain(sent)) == [server, root]


# `isthmus certs` ---------------------------------------------------------------------------------


def certs(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["certs", *arguments])


def test_create_makes_a_certificate_and_a_key_only_we_can_read(folder: TrustFolder) -> None:
    made = certs("create", "--host", "plant-pc")
    assert made.exit_code == 0, made.output
    assert "urn:plant-pc:isthmus" in made.output
    assert stat.S_IMODE(folder.private_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.private_key.parent.stat().st_mode) == 0o700
    again = certs("create")
    assert again.exit_code == 1
    assert "there is one already" in again.output


def test_renew_keeps_the_key(ours: x509.Certificate, folder: TrustFolder) -> None:
    assert certs("create", "--renew", "--host", "plant-pc").exit_code == 0
    renewed = folder.own()
    assert renewed is not None
    assert renewed != ours
    assert renewed.public_key() == ours.public_key()


def test_show_pem_is_the_certificate_and_nothing_else(ours: x509.Certificate) -> None:
    assert x509.load_pem_x509_certificate(certs("show", "--pem").output.encode()) == ours


def test_trust_of_a_file_asks_unless_told_that_the_fingerprint_was_compared(
    servers_papers: Papers, folder: TrustFolder
) -> None:
    file = servers_papers.certificate
    asked = certs("trust", str(file))
    assert asked.exit_code == 1
    assert "nobody is here to compare the fingerprint" in asked.output
    assert folder.trusted() == []
    assert certs("trust", str(file), "--yes").exit_code == 0
    assert folder.trusted() == [certificate(file)]


def test_list_as_json_names_role_fingerprint_and_days_left(
    ours: x509.Certificate, servers_papers: Papers, folder: TrustFolder
) -> None:
    theirs = certificate(servers_papers.certificate)
    folder.trust(theirs)
    listed = json.loads(certs("list", "--format", "json").output)
    assert [(entry["role"], entry["fingerprint"]) for entry in listed] == [
        ("own", certificates.fingerprint(ours)),
        ("trusted", certificates.fingerprint(theirs)),
    ]
    assert [entry["days_left"] for entry in listed] == [364, 364]
    assert not any(entry["expired"] or entry["ends_soon"] for entry in listed)


def test_list_ends_with_1_when_something_has_expired(drawer: Path, folder: TrustFolder) -> None:
    folder.trust(certificate(expired_papers(drawer).certificate))
    listed = certs("list")
    assert listed.exit_code == 1
    assert "trusted" in listed.output


def test_distrust_takes_the_beginning_of_a_fingerprint(
    servers_papers: Papers, folder: TrustFolder
) -> None:
    theirs = certificate(servers_papers.certificate)
    folder.trust(theirs)
    shown = certificates.grouped(certificates.fingerprint(theirs))
    assert certs("distrust", "00 00").exit_code == 1
    assert certs("distrust", shown[:9]).exit_code == 0
    assert folder.trusted() == []


@pytest.mark.parametrize("named", ["the source", "an endpoint"])
def test_trust_of_a_source_asks_its_server_for_the_certificate(
    secured: OpcuaServer, servers_papers: Papers, folder: TrustFolder, tmp_path: Path, named: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    there, gone = f"opc.tcp://{LOOPBACK}:{secured.port}", f"opc.tcp://{LOOPBACK}:1"
    first, second = (there, gone) if named == "the source" else (gone, there)
    (model / "company.yaml").write_text("enterprise: acme\n")
    (model / "site.yaml").write_text(
        "site: hamburg\nsources:\n"
        f'  im07: {{kind: opcua, endpoint: "{first}", endpoints: ["{second}"]}}\n'
    )
    what = "im07" if named == "the source" else there
    done = certs("trust", what, "--model", str(model), "--yes")
    assert done.exit_code == 0, done.output
    theirs = certificate(servers_papers.certificate)
    assert folder.trusted() == [theirs]
    assert certificates.grouped(certificates.fingerprint(theirs)) in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "`isthmus certs create` makes one"),
        (["trust", __file__], "is no certificate"),
        (["list"], "none yet"),
    ],
)
def test_a_wrong_call_says_what_to_do(arguments: list[str], said: str) -> None:
    assert said in certs(*arguments).output


def test_a_file_in_the_trust_list_that_is_no_certificate_is_named(folder: TrustFolder) -> None:
    trusted = folder.path / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "notes.txt").write_text("ask the maker")
    listed = certs("list")
    assert listed.exit_code == 1
    assert "notes.txt is no certificate" in listed.output
