<?php
include "/usr/share/adminer/adminer.php";
