# SPDX-License-Identifier: Apache-2.0
"""A Kafka broker for tests: librdkafka's own mock cluster, which listens on a loopback port, and a consumer that reads what it was given."""
import ctypes
import ctypes.util

ERRORS_BYTES = 500
CONSUMER, PRODUCER = 1, 0
FROM_THE_BEGINNING = -2


class Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32), ("payload", ctypes.c_void_p),
                ("len", ctypes.c_size_t), ("key", ctypes.c_void_p), ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64),
                ("private", ctypes.c_void_p)]


def _library():
    rd = ctypes.CDLL("librdkafka.so.1")
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new", "rd_kafka_topic_new"):
        getattr(rd, name).restype = ctypes.c_void_p
    rd.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    rd.rd_kafka_consume.restype = ctypes.POINTER(Message)
    return rd


class Kafka:
    """A cluster of one broker and a topic of one partition."""

    def __init__(self, topic):
        self.rd, self.topic = _library(), topic.encode()
        self.owner = self._client(PRODUCER, {})
        self.cluster = ctypes.c_void_p(self.rd.rd_kafka_mock_cluster_new(self.owner, 1))
        assert self.rd.rd_kafka_mock_topic_create(self.cluster, self.topic, 1, 1) == 0
        self.brokers = self.rd.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        self.consumer = self._client(CONSUMER, {"bootstrap.servers": self.brokers})
        self.handle = ctypes.c_void_p(self.rd.rd_kafka_topic_new(self.consumer, self.topic, None))
        assert self.rd.rd_kafka_consume_start(self.handle, 0, ctypes.c_int64(FROM_THE_BEGINNING)) == 0
        self.messages = []  # (key, value)

    def _client(self, kind, settings):
        text = ctypes.create_string_buffer(ERRORS_BYTES)
        conf = ctypes.c_void_p(self.rd.rd_kafka_conf_new())
        for name, value in settings.items():
            assert self.rd.rd_kafka_conf_set(conf, name.encode(), value.encode(), text, ERRORS_BYTES) == 0, text.value
        client = self.rd.rd_kafka_new(kind, conf, text, ERRORS_BYTES)
        assert client, text.value
        return ctypes.c_void_p(client)

    def set_up(self, up):
        """Whether the broker answers."""
        self.rd.rd_kafka_mock_broker_set_up(self.cluster, 1) if up else self.rd.rd_kafka_mock_broker_set_down(self.cluster, 1)

    def read(self):
        """All messages until now."""
        while found := self.rd.rd_kafka_consume(self.handle, 0, 200):
            one = found.contents
            if one.err == 0:
                self.messages.append((ctypes.string_at(one.key, one.key_len), ctypes.string_at(one.payload, one.len)))
            self.rd.rd_kafka_message_destroy(found)
        return self.messages

    def close(self):
        self.rd.rd_kafka_consume_stop(self.handle, 0)
        self.rd.rd_kafka_topic_destroy(self.handle)
        self.rd.rd_kafka_destroy(self.consumer)
        self.rd.rd_kafka_mock_cluster_destroy(self.cluster)
        self.rd.rd_kafka_destroy(self.owner)
