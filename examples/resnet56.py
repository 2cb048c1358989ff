"""ResNet-56 for 32x32 images: 9 blocks in each stage."""

from autodas_dsl import spaces

input = (3, 32, 32)
classes = 10


def build_model():
    space = spaces.get("cifar-resnet")
    return space.build(space.parse("9-9-9"), classes)
