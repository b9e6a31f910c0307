"""Convolutional networks: the usual small one for digits, a narrow ResNet-18 on 32x32 images, and the full one on 224x224."""

from typing import Any

from bench.registry import bench


def digits(fw):
    nn = fw.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def resnet(fw, width=32, classes=10, stem=False):
    nn = fw.nn
    base: Any = nn.Module

    class Block(base):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            same = stride == 1 and inputs == outputs
            self.side = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

        def forward(self, x):
            return fw.relu(self.main(x) + self.side(x))

    first = nn.Conv2d(3, width, 7, 2, 3, bias=False) if stem else nn.Conv2d(3, width, 3, 1, 1, bias=False)
    layers = [first, nn.BatchNorm2d(width), nn.ReLU()]
    if stem:
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = width
    for i in range(4):
        outputs = width << i
        layers += [Block(inputs, outputs, 1 if i == 0 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def resnet18(fw):
    return resnet(fw, 64, 1000, True)


NETS = {
    "digits": (digits, (64, 1, 28, 28)),
    "resnet": (resnet, (16, 3, 32, 32)),
    "resnet18": (resnet18, (1, 3, 224, 224)),
}


@bench(params=("digits", "resnet"), ratio=0.5)
def train(fw, name):
    make, shape = NETS[name]
    model, x, y = make(fw), fw.rand(*shape), fw.randint(0, 10, shape[:1])
    optimizer, criterion = fw.optim.SGD(model.parameters(), lr=1e-3), fw.nn.CrossEntropyLoss()

    def call():
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return call


@bench(params=tuple(NETS), ratio=0.6)
def inference(fw, name):
    make, shape = NETS[name]
    model, x, no_grad = make(fw).eval(), fw.rand(*shape), fw.no_grad

    def call():
        with no_grad():
            model(x)

    return call
