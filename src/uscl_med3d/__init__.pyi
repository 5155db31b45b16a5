from uscl_med3d.core.errors import InputError as InputError
from uscl_med3d.user.segmenter import Segmenter as Segmenter

__version__: str
