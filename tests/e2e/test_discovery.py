# SPDX-License-Identifier: Apache-2.0
"""Service discovery of the whole program: DNS against a real server, APIs against fakes that the original is shown, too."""
import http.server
import json
import os
import socket
import threading

import pytest

import harness


def labels_of(server):
    """The labels of all targets before relabelling, as a sorted list; without those that Debian's original is too old for."""
    return sorted(json.dumps({name: value for name, value in target["discoveredLabels"].items()
                              if not name.startswith("__meta_docker_container_image")}, sort_keys=True)
                  for target in server.targets())


# ---- DNS ----------------------------------------------------------------------------------------


class Dns:
    """dnsmasq with records of its own, on a port of its own."""

    RECORDS = ["--host-record=a.test,10.0.0.1,2001:db8::1", "--host-record=short.in.test,10.0.0.7",
               "--srv-host=_web._tcp.test,one.test,8080,1,1", "--srv-host=_web._tcp.test,two.test,8081,2,2",
               "--mx-host=test,mail.test,10", "--dns-rr=test,2,026e73047465737400",
               "--cname=alias.test,a.test", "--local=/test/", "--local=/in.test/", "--local=/nowhere/"]

    def __init__(self, directory):
        self.port = harness.free_port()
        many = [f"--host-record=many.test,10.1.{i // 250}.{i % 250 + 1}" for i in range(300)]
        self.command = [harness.original("dnsmasq"), "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon",
                        "--conf-file=/dev/null", "--pid-file=", f"--port={self.port}", "--listen-address=127.0.0.1",
                        "--bind-interfaces", "--user=", *self.RECORDS, *many]
        self.log = open(directory / "dnsmasq.log", "wb")
        self.process = None
        resolv = directory / "resolv.conf"
        resolv.write_text(f"nameserver 127.0.0.1:{self.port}\nsearch in.test\noptions ndots:1\n")
        self.resolv = str(resolv)

    def start(self):
        self.process = harness.subprocess.Popen(self.command, stdin=harness.subprocess.DEVNULL, stdout=self.log,
                                                stderr=self.log, preexec_fn=harness._die_with_parent)
        harness.wait_until("dnsmasq to listen", self.listens)

    def listens(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def dns(world, monkeypatch):
    made = Dns(world.directory)
    monkeypatch.setenv("NARTHEX_RESOLV_CONF", made.resolv)
    made.start()
    yield made
    made.stop()
    made.log.close()


def dns_config(names, kind, port=9100, interval="1s"):
    return harness.scrape_config() + f"""
- job_name: dns
  dns_sd_configs:
  - {{names: {json.dumps(names)}, type: {kind}, port: {port}, refresh_interval: {interval}}}
"""


def found(server):
    """{address: its labels of dns}"""
    return {target["discoveredLabels"]["__address__"]:
            {name: value for name, value in target["discoveredLabels"].items() if name.startswith("__meta_")}
            for target in server.targets()}


SRV = {"one.test:8080": {"__meta_dns_name": "_web._tcp.test", "__meta_dns_srv_record_target": "one.test.",
                         "__meta_dns_srv_record_port": "8080"},
       "two.test:8081": {"__meta_dns_name": "_web._tcp.test", "__meta_dns_srv_record_target": "two.test.",
                         "__meta_dns_srv_record_port": "8081"}}


@pytest.mark.parametrize("kind,name,want", [
    ("A", "a.test", {"10.0.0.1:9100": {"__meta_dns_name": "a.test"}}),
    ("a", "alias.test", {"10.0.0.1:9100": {"__meta_dns_name": "alias.test"}}),
    ("A", "short", {"10.0.0.7:9100": {"__meta_dns_name": "short"}}),
    ("AAAA", "a.test", {"[2001:db8::1]:9100": {"__meta_dns_name": "a.test"}}),
    ("SRV", "_web._tcp.test", SRV),
    ("MX", "test.", {"mail.test:9100": {"__meta_dns_name": "test.", "__meta_dns_mx_record_target": "mail.test."}}),
    ("NS", "test.", {"ns.test:9100": {"__meta_dns_name": "test.", "__meta_dns_ns_record_target": "ns.test."}}),
])
def test_dns_records_become_targets(world, dns, kind, name, want):
    server = world.server(dns_config([name], kind)).start()
    harness.wait_until("the targets", lambda: found(server) == want)


def test_dns_answers_that_are_too_long_for_a_datagram_come_by_tcp(world, dns):
    server = world.server(dns_config(["many.test"], "A")).start()
    harness.wait_until("300 targets", lambda: len(found(server)) == 300)


def test_dns_servers_that_fail_leave_the_targets_and_unknown_names_have_none(world, dns):
    server = world.server(dns_config(["a.test", "b.nowhere"], "A", interval="200ms")).start()
    harness.wait_until("the target", lambda: list(found(server)) == ["10.0.0.1:9100"])
    assert server.metric("prometheus_sd_dns_lookup_failures_total") == 0
    dns.stop()
    harness.wait_until("failures", lambda: server.metric("prometheus_sd_dns_lookup_failures_total") > 2)
    assert list(found(server)) == ["10.0.0.1:9100"]
    dns.start()
    before = server.metric("prometheus_sd_dns_lookup_failures_total")
    harness.wait_until("lookups again", lambda: server.metric("prometheus_sd_dns_lookups_total") > before + 6)
    assert list(found(server)) == ["10.0.0.1:9100"]


def test_the_tool_asks_dns(world, dns):
    config = world.write_file("sd.yml", dns_config(["_web._tcp.test"], "SRV"))
    done = world.run("tool", "check", "service-discovery", "--timeout=3s", config, "dns")
    assert done.returncode == 0, done.stderr
    assert sorted(one["labels"]["instance"] for one in json.loads(done.stdout)) == sorted(SRV)


# ---- APIs, beside the original ------------------------------------------------------------------

RPC = '<?xml version="1.0"?><methodResponse><params><param>%s</param></params></methodResponse>'


def member(name, value):
    return f"<member><name>{name}</name><value>{value}</value></member>"


def array(*structs):
    return "<value><array><data>" + "".join(f"<value><struct>{s}</struct></value>" for s in structs) + "</data></array></value>"


def uyuni(body):
    if "auth.login" in body:
        return RPC % "<value><string>tok</string></value>"
    if "listSystemGroups" in body:
        groups = "<array><data><value><struct>" + member("id", "<int>5</int>") + member("name", "<string>g</string>") + \
            "</struct></value></data></array>"
        return RPC % array(member("id", "<int>1</int>") + member("system_groups", groups))
    if "listEndpoints" in body:
        return RPC % array(member("system_id", "<int>1</int>") + member("endpoint_name", "<string>node</string>") +
                           member("port", "<int>9100</int>") + member("path", "<string>/m</string>") +
                           member("module", "<string>mod</string>") + member("exporter_name", "<string>ne</string>") +
                           member("tls_enabled", "<boolean>1</boolean>"))
    return RPC % array(member("system_id", "<int>1</int>") + member("hostname", "<string>h.x</string>") +
                       member("primary_fqdn", "<string>f.x</string>") + member("ip", "<string>1.1.1.1</string>"))


EUREKA = """<applications><versions__delta>1</versions__delta><application><name>META</name><instance>
<hostName>meta.x</hostName><app>META</app><ipAddr>10.0.0.1</ipAddr><status>UP</status><port enabled="true">8080</port>
<securePort enabled="false">443</securePort><homePageUrl>http://meta.x/</homePageUrl><dataCenterInfo class="c">
<name>MyOwn</name><metadata><zone>z1</zone></metadata></dataCenterInfo><metadata><management.port>1</management.port>
</metadata><countryId>1</countryId><instanceId>meta:1</instanceId></instance></application></applications>"""
NETWORKS = [{"Id": "n1", "Name": "front", "Scope": "swarm", "Internal": False, "Ingress": True, "Labels": {"a.b": "c"}}]
CONTAINERS = [{"Id": "c1", "Names": ["/web"], "Image": "nginx", "ImageID": "sha", "Labels": {"com.x": "y"},
               "HostConfig": {"NetworkMode": "front"},
               "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "0.0.0.0", "Type": "tcp"},
                         {"PrivatePort": 53, "Type": "udp"}],
               "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "10.1.0.2"}}}},
              {"Id": "c2", "Names": ["/host"], "HostConfig": {"NetworkMode": "host"}, "Ports": [],
               "NetworkSettings": {"Networks": {"host": {"NetworkID": "n3", "IPAddress": ""}}}}]
SERVICES = [{"ID": "s1", "Spec": {"Name": "web", "Labels": {"l": "1"}, "Mode": {"Replicated": {}}, "TaskTemplate": {
    "ContainerSpec": {"Image": "img", "Hostname": "h"}}}, "UpdateStatus": {"State": "completed"}, "Endpoint": {
        "Ports": [{"Name": "http", "Protocol": "tcp", "PublishedPort": 8080, "PublishMode": "ingress"}],
        "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.0.3/24"}]}}]
NODES = [{"ID": "m1", "Spec": {"Role": "manager", "Availability": "active", "Labels": {"rack": "1"}}, "Description": {
    "Hostname": "host1", "Platform": {"Architecture": "x86_64", "OS": "linux"}, "Engine": {"EngineVersion": "20"}},
    "Status": {"State": "ready", "Addr": "192.168.0.1"}, "ManagerStatus": {
        "Leader": True, "Reachability": "reachable", "Addr": "192.168.0.1:2377"}}]
TASKS = [{"ID": "t1", "ServiceID": "s1", "NodeID": "m1", "Slot": 2, "DesiredState": "running", "Spec": {
    "ContainerSpec": {"Labels": {"x": "y"}}}, "Status": {"State": "running", "ContainerStatus": {"ContainerID": "cid"},
                                                         "PortStatus": {"Ports": [{"Protocol": "tcp", "PublishMode": "host",
                                                                                   "PublishedPort": 9000}]}},
          "NetworksAttachments": [{"Network": {"ID": "n1"}, "Addresses": ["10.0.0.5/24"]}]}]
MARATHON = {"apps": [{"id": "plain", "labels": {"l.1": "v"}, "container": {"docker": {"image": "img"}}, "portDefinitions": [
    {"port": 31000, "labels": {"p": "yes"}}], "tasks": [{"id": "t1", "host": "h1", "ports": [31005]}]},
    {"id": "net", "networks": [{"mode": "container"}], "container": {"portMappings": [
        {"containerPort": 80, "hostPort": 0, "labels": {"q": "1"}}]}, "tasks": [
            {"id": "t2", "host": "h2", "ipAddresses": [{"ipAddress": "9.0.0.1"}]}]}]}
PUPPET = [{"certname": "a.x", "resource": "49af", "type": "Class", "title": "Ssh", "exported": False, "tags": ["roles", "ssh"],
           "file": "/etc/s.pp", "environment": "prod", "parameters": {"port": 22, "on": True, "names": ["a", 1.5],
                                                                      "sub-map": {"k": "v"}, "none": None, "text": "t"}}]
EC2 = """<DescribeInstancesResponse><reservationSet><item><ownerId>42</ownerId><instancesSet><item><instanceId>i-1</instanceId>
<imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>in.x</privateDnsName>
<dnsName>out.x</dnsName><instanceType>t3.nano</instanceType><placement><availabilityZone>eu-west-1a</availabilityZone></placement>
<subnetId>s-1</subnetId><vpcId>v</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>1.2.3.4</ipAddress>
<architecture>x86_64</architecture><tagSet><item><key>a b</key><value>c</value></item></tagSet><networkInterfaceSet><item>
<subnetId>s-1</subnetId></item><item><subnetId>s-2</subnetId></item></networkInterfaceSet></item></instancesSet></item>
</reservationSet></DescribeInstancesResponse>"""
ZONES = """<DescribeAvailabilityZonesResponse><availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId>
</item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>"""
SCALEWAY = {"servers": [{"id": "i1", "name": "n", "hostname": "h", "boot_type": "local", "organization": "o", "project": "p",
                         "state": "running", "commercial_type": "DEV1", "zone": "fr-par-1", "tags": ["a"],
                         "image": {"arch": "x86_64", "id": "im", "name": "Ubuntu"}, "private_ip": "10.70.1.1",
                         "security_group": {"id": "sg", "name": "default"}}], "total_count": 1}


def answers(host):
    """[(path begins with, body contains, type, answer)]"""
    js = "application/json"
    catalog = [{"type": kind, "endpoints": [{"interface": "public", "region": "R", "region_id": "R", "id": kind,
                                             "url": f"http://{host}/os/{kind}/"}]} for kind in ("compute", "network")]
    return [
        ("/targets", "", js, [{"targets": ["a:1", "b:2"], "labels": {"x": "y"}}, {"targets": ["c:3"]}]),
        ("/eureka/apps", "", "application/xml", EUREKA),
        ("/containers/json", "", js, CONTAINERS), ("/networks", "", js, NETWORKS), ("/services", "", js, SERVICES),
        ("/nodes", "", js, NODES), ("/tasks", "", js, TASKS), ("/_ping", "", "text/plain", "OK"),
        ("/v2/apps/", "", js, MARATHON), ("/pdb/query/v4", "", js, PUPPET),
        ("/rpc/api", "", "text/xml", uyuni),
        ("/ec2", "Action=DescribeInstances", "text/xml", EC2), ("/ec2", "Action=Describe", "text/xml", ZONES),
        ("/instance/v1/zones/fr-par-1/servers", "", js, SCALEWAY),
        ("/v3/auth/tokens", "", js, {"token": {"catalog": catalog, "expires_at": "2099-01-01T00:00:00.000000Z"}}),
        ("/os/compute/os-hypervisors/detail", "", js, {"hypervisors": [{
            "id": 1, "hypervisor_hostname": "hv", "host_ip": "172.16.70.14", "status": "enabled", "state": "up",
            "hypervisor_type": "QEMU", "hypervisor_version": 1, "local_gb": 1, "free_disk_gb": 1, "cpu_info": "{}",
            "service": {"host": "h", "id": 1}}]}),
    ]


@pytest.fixture
def apis():
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            path = self.path
            if path.startswith("/v1.") and "/" in path[1:]:  # the version that Docker's clients put in front
                path = path[path.index("/", 1):]
            for begin, has, kind, reply in self.server.answers:
                if path.split("?")[0].rstrip("/") == begin.rstrip("/") and has in body:
                    if callable(reply):
                        reply = reply(body)
                    data = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
                    self.send_response(201 if "auth/tokens" in path else 200)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(data)))
                    self.send_header("X-Subject-Token", "tok")
                    self.send_header("X-Total-Count", "1")
                    self.send_header("Api-Version", "1.41")
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(data)
                    return
            self.server.missed.append(self.command + " " + self.path + " " + body)
            self.send_error(404)

        do_GET = do_POST = do_HEAD = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.host = f"127.0.0.1:{server.server_address[1]}"
    server.answers, server.missed = answers(server.host), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


# Debian's build of the original has neither consul nor nomad nor kuma: see the unit tests for these.
@pytest.mark.parametrize("kind,block,count", [
    ("http", "url: 'http://HOST/targets'", 3),
    ("eureka", "server: 'http://HOST/eureka'", 1),
    ("docker", "host: 'http://HOST'", 2),
    ("dockerswarm", "host: 'http://HOST', role: services", 1),
    ("dockerswarm", "host: 'http://HOST', role: nodes", 1),
    ("dockerswarm", "host: 'http://HOST', role: tasks", 2),
    ("marathon", "servers: ['http://HOST']", 2),
    ("puppetdb", "url: 'http://HOST', query: q, include_parameters: true", 1),
    ("uyuni", "server: 'http://HOST', username: u, password: p", 1),
    ("ec2", "endpoint: 'http://HOST/ec2', region: eu-west-1, access_key: a, secret_key: s", 1),
    ("scaleway", "api_url: 'http://HOST', role: instance, project_id: 11111111-1111-1111-1111-111111111111, "
                 "access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: 11111111-1111-1111-1111-111111111111", 1),
    ("openstack", "identity_endpoint: 'http://HOST/v3', username: u, password: p, domain_name: d, project_name: x, "
                  "region: R, role: hypervisor", 1),
])
def test_targets_are_those_of_the_original(world, apis, kind, block, count):
    config = harness.scrape_config() + f"""
- job_name: found
  {kind}_sd_configs:
  - {{{block.replace("HOST", apis.host)}}}
"""
    ours = world.server(config).start()
    theirs = world.prometheus(config, data="theirs").start()
    for server in (theirs, ours):
        harness.wait_until(f"{count} targets of {server.name}, not asked in vain: {apis.missed}",
                           lambda server=server: len(labels_of(server)) == count)
    assert labels_of(ours) == labels_of(theirs)
