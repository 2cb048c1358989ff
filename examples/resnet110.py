"""ResNet-110 for 32x32 images: 18 blocks in each stage."""

from autodas_dsl import spaces

input = (3, 32, 32)
classes = 10


def build_model():
    space = spaces.get("cifar-resnet")
    return space.build(space.parse("18-18-18"), classes)
