"""A user model of the project's own: no name, a badge."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    """Someone of the clinic."""

    badge = models.CharField(max_length=20, unique=True)

    USERNAME_FIELD = "badge"

    objects = BaseUserManager()
