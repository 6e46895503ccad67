from models.train.meter import Meter, Throughput


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_reading_covers_its_own_window() -> None:
    watch = Watch()
    meter = Meter(watch)
    meter.waited(0.5)
    meter.trained(64)
    meter.trained(64)
    watch.now += 2.0
    assert meter.read() == Throughput(images_per_second=64.0, wait_share=0.25)
    meter.trained(10)
    watch.now += 1.0
    assert meter.read() == Throughput(images_per_second=10.0, wait_share=0.0)
