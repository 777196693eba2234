from lapidicom.common.headers import own_headers


def test_every_header_of_the_broker_is_stripped() -> None:
    headers = {
        "x-death": [{"count": 1}],
        "x-delivery-count": 3,
        "X-First-Death-Queue": "q",
        "lapidicom-id": "life.1",
        "lapidicom-version": 1,
        "traceparent": "00-ab-cd-01",
    }
    assert own_headers(headers) == {
        "lapidicom-id": "life.1",
        "lapidicom-version": 1,
        "traceparent": "00-ab-cd-01",
    }


def test_a_header_that_is_no_plain_value_is_left_out() -> None:
    assert own_headers({"table": {"a": 1}, "list": [1], "none": None, "flag": True}) == {
        "none": None,
        "flag": True,
    }
