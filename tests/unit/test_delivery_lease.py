from processor.delivery.lease import Lease


def test_nothing_is_sent_before_the_first_proof() -> None:
    lease = Lease(0.0)
    lease.tick(0.1)
    assert not lease.may_send(0.1)
    lease.proved(0.1)
    assert lease.may_send(0.2)


def held() -> Lease:
    lease = Lease(0.0)
    lease.proved(0.0)
    return lease


def test_regular_ticks_keep_it() -> None:
    lease = held()
    for tenth in range(1, 1000):
        assert lease.tick(tenth / 10)
        assert lease.may_send(tenth / 10 + 0.05)


def test_old_tick_stops_sending_before_the_kafka_thread_has_noticed() -> None:
    lease = held()
    lease.tick(1.0)
    assert lease.may_send(4.0)
    assert not lease.may_send(4.1)


def test_gap_needs_a_proof_begun_behind_it() -> None:
    lease = held()
    lease.tick(1.0)
    assert not lease.tick(61.0)
    lease.tick(61.1)
    assert not lease.may_send(61.1)
    lease.proved(1.0)  # a commit sent before the stop
    assert not lease.may_send(61.2)
    lease.proved(61.1)
    assert lease.may_send(61.2)


def test_stop_in_the_middle_of_the_proving_commit_is_a_gap() -> None:
    lease = Lease(0.0)
    lease.tick(1.0)
    # sent at 1.0, acknowledged, stopped for a minute, and only then seen
    lease.proved(1.0)
    assert not lease.may_send(61.0)
    assert not lease.tick(61.0)
    assert not lease.may_send(61.0)
    lease.proved(61.0)
    assert lease.may_send(61.0)


def test_known_loss_needs_a_new_proof() -> None:
    lease = held()
    lease.tick(1.0)
    lease.lost(1.5)
    assert not lease.may_send(1.6)
    lease.proved(1.4)
    assert not lease.may_send(1.6)
    lease.proved(1.6)
    assert lease.may_send(1.6)
